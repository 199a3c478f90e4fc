"""LSTNet: convolution, GRU, skip-GRU over the season, linear highway."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from forecast.errors import ConfigError
from forecast.nets.facts import Facts
from forecast.nets.lstnet import LSTNet, SkipGRU
from forecast.windows.gather import Batch
from tests.nets.cells import run


@pytest.mark.parametrize(("rows", "season"), [(12, 4), (14, 4), (7, 7), (5, 1)])
def test_the_skip_gru_equals_one_whose_state_is_a_season_old(rows, season):
    torch.manual_seed(0)
    skip, x = SkipGRU(3, 2, season), torch.randn(4, rows, 3)
    whole = x[:, rows % season :]
    expected = run("gru", skip.rnn, whole, dilation=season)[:, -season:].flatten(1)
    torch.testing.assert_close(skip(x), expected, atol=1e-5, rtol=1e-5)


def test_the_net_equals_its_equations():
    torch.manual_seed(1)
    net = LSTNet(kernel=3, hidden_size=4, season=4, skip_size=2, highway=5, seasonal_skip=False).build(Facts(12, 3))
    nn.init.normal_(net.highway.project.weight)
    past = torch.randn(2, 12)
    filters = net.convolve.weight.reshape(4, 1, 3)
    x = functional.conv1d(functional.pad(past[:, None], (2, 0)), filters, net.convolve.bias)
    x = torch.relu(x).transpose(1, 2)
    features = torch.cat([run("gru", net.rnn, x)[:, -1], net.skip_rnn(x)], dim=1)
    expected = net.project(features) + past[:, -5:] @ net.highway.project.weight.T
    torch.testing.assert_close(net(Batch(past, None))[..., 0], expected, atol=1e-5, rtol=1e-5)


def test_the_season_of_the_data_is_taken_unless_one_is_given():
    assert LSTNet().build(Facts(24, 3, seasons=(12, 24))).skip_rnn.season == 12
    assert LSTNet(season=6).build(Facts(24, 3, seasons=(12,))).skip_rnn.season == 6


def test_without_season_and_highway_those_parts_are_left_out():
    net = LSTNet(highway=0).build(Facts(24, 3))
    assert net.skip_rnn is None and net.highway is None
    assert net(Batch(torch.randn(2, 24), None)).shape == (2, 3, 1)


def test_a_highway_longer_than_the_window_sees_the_window():
    assert LSTNet(highway=100).build(Facts(8, 3)).highway.rows == 8


def test_the_level_of_the_highway_moves_quantiles_without_spreading_them():
    torch.manual_seed(2)
    net = LSTNet(hidden_size=4).build(Facts(8, 3, probs=(0.1, 0.5, 0.9)))
    batch = Batch(torch.randn(2, 8), None)
    before = net(batch)
    nn.init.constant_(net.highway.project.bias, 5.0)
    torch.testing.assert_close(net(batch), before + 5.0)


@pytest.mark.parametrize("season", [0, 9])
def test_a_season_that_does_not_fit_the_window_is_refused(season):
    with pytest.raises(ConfigError, match=f"season={season} does not fit the window of 8 rows"):
        LSTNet(season=season).build(Facts(8, 3))


def test_a_negative_highway_is_refused():
    with pytest.raises(ConfigError, match="highway=-1"):
        LSTNet(highway=-1).build(Facts(8, 3))
