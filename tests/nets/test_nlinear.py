"""NLinear against the paper's map."""

from __future__ import annotations

import torch
from torch import nn

from forecast.nets.facts import Facts
from forecast.nets.nlinear import NLinear
from forecast.nets.scaling import scale_window
from forecast.windows.gather import Batch


def test_nlinear_subtracts_the_last_value_and_adds_it_back():
    torch.manual_seed(0)
    net = NLinear(seasonal_skip=False).build(Facts(6, 3))
    nn.init.normal_(net.body.weight)
    past = torch.randn(4, 6) * 3 + 100
    scaled = scale_window(Batch(past, None))
    last = past[:, -1:]
    expected = (past - last) @ net.body.weight.T + last
    torch.testing.assert_close(scaled.restore(net(scaled.batch))[..., 0], expected, rtol=1e-4, atol=1e-4)


def test_it_starts_as_the_last_value_without_a_season_and_as_its_seasonal_naive_with_one():
    past = Batch(torch.tensor([[-2.0, 1.0, -3.0, 0.0]]), None)
    assert NLinear().build(Facts(4, 3))(past)[0, :, 0].tolist() == [0, 0, 0]
    assert NLinear().build(Facts(4, 3, seasons=(2,)))(past)[0, :, 0].tolist() == [-3, 0, -3]
