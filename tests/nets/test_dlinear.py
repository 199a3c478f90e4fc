"""DLinear: moving average, remainder, a linear map for each."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from forecast.errors import ConfigError
from forecast.nets.dlinear import DLinear, moving_average
from forecast.nets.facts import Facts
from forecast.windows.gather import Batch


def test_a_moving_average_repeats_the_ends():
    values = torch.tensor([[3.0, 6.0, 0.0, 9.0]])
    assert moving_average(values, 3).tolist() == [[4.0, 3.0, 5.0, 6.0]]
    assert moving_average(values, 1).tolist() == values.tolist()
    assert moving_average(values, 25).shape == values.shape


def test_the_moving_average_of_a_line_is_the_line_away_from_its_ends():
    line = torch.arange(30.0)[None]
    torch.testing.assert_close(moving_average(line, 7)[:, 3:-3], line[:, 3:-3])


def test_dlinear_is_the_sum_of_a_map_of_the_trend_and_one_of_the_rest():
    torch.manual_seed(0)
    net = DLinear(kernel=3, seasonal_skip=False).build(Facts(6, 2))
    for parameter in net.body.parameters():
        nn.init.normal_(parameter)
    past = torch.randn(4, 6)
    mean = past.mean(1, keepdim=True)
    trend = moving_average(past - mean, 3)
    seasonal, line = net.body.seasonal, net.body.trend
    expected = (past - mean - trend) @ seasonal.weight.T + seasonal.bias + trend @ line.weight.T + line.bias + mean
    torch.testing.assert_close(net(Batch(past, None))[..., 0], expected)


def test_equal_maps_of_both_parts_are_one_map_of_the_window():
    torch.manual_seed(1)
    net = DLinear(kernel=5).build(Facts(6, 2))
    nn.init.normal_(net.body.seasonal.weight)
    net.body.trend.load_state_dict(net.body.seasonal.state_dict())
    x = torch.randn(4, 6)
    torch.testing.assert_close(net.body(x), x @ net.body.seasonal.weight.T)


@pytest.mark.parametrize("kernel", [0, 4, -3])
def test_a_kernel_without_a_middle_is_refused(kernel):
    with pytest.raises(ConfigError, match=f"kernel={kernel}"):
        DLinear(kernel=kernel).build(Facts(6, 2))


def test_unknown_rows_are_told_to_the_net():
    net = DLinear(kernel=3).build(Facts(6, 2, channels=2))
    assert net(Batch(torch.randn(3, 6), torch.ones(3, 6))).shape == (3, 2, 1)
