"""What nets without recurrence share: where the window is centred, what the map's result is added to."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from forecast.errors import ConfigError
from forecast.nets.checks import at_least_one
from forecast.nets.facts import Facts
from forecast.nets.flat import Flat, mean_of_known
from forecast.nets.linear import Linear
from forecast.windows.gather import Batch


class Recorder(nn.Module):
    """Keeps what it was given and forecasts zeros."""

    def forward(self, x):
        self.seen = x
        return torch.zeros(len(x), 2)


def test_the_mean_is_that_of_known_rows():
    past, observed = torch.tensor([[0.0, 4.0, 0.0, 2.0]]), torch.tensor([[0.0, 1, 0, 1]])
    assert mean_of_known(Batch(past, observed)).item() == 3.0
    assert mean_of_known(Batch(past, None)).item() == 1.5
    assert mean_of_known(Batch(torch.zeros(1, 4), torch.zeros(1, 4))).item() == 0.0


def test_unknown_rows_stay_zero_and_the_indicator_follows_the_values():
    body = Recorder()
    batch = Batch(torch.tensor([[0.0, 4.0, 2.0]]), torch.tensor([[0.0, 1, 1]]))
    out = Flat(Facts(3, 2, channels=2), body, skip=False, centre=True)(batch)
    assert body.seen.tolist() == [[0, 1, -1, 0, 1, 1]]
    assert out[0, :, 0].tolist() == [3.0, 3.0]


def test_the_anchor_is_the_seasonal_naive_forecast_where_there_is_a_season():
    past = Batch(torch.tensor([[5.0, 7.0, 5.0, 7.0]]), None)
    assert Linear().build(Facts(4, 3, seasons=(2,)))(past)[0, :, 0].tolist() == [5, 7, 5]
    assert Linear().build(Facts(4, 3))(past)[0, :, 0].tolist() == [6, 6, 6]


def test_every_size_below_one_is_named_at_once():
    with pytest.raises(ConfigError, match="heads=0, width=-1: must be at least 1"):
        at_least_one(heads=0, layers=1, width=-1)
