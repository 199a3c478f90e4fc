"""Linear against the paper's map."""

from __future__ import annotations

import torch
from torch import nn

from forecast.nets.facts import Facts
from forecast.nets.linear import Linear
from forecast.windows.gather import Batch


def built(**options):
    torch.manual_seed(0)
    net = Linear(seasonal_skip=False).build(Facts(6, 3, **options))
    nn.init.normal_(net.body.weight)
    nn.init.normal_(net.body.bias)
    return net


def test_linear_is_one_linear_map_of_the_centred_window():
    net, past = built(), torch.randn(4, 6)
    mean = past.mean(1, keepdim=True)
    expected = (past - mean) @ net.body.weight.T + net.body.bias + mean
    torch.testing.assert_close(net(Batch(past, None))[..., 0], expected)


def test_it_can_be_any_linear_map_that_passes_the_level_through():
    # Weights whose rows sum to 1 (here: the mean of the last two rows) pass a level through, and need no bias.
    net, past = built(), torch.randn(4, 6)
    wanted = torch.tensor([0.0, 0, 0, 0, 0.5, 0.5]).expand(3, 6)
    with torch.no_grad():
        net.body.weight.copy_(wanted)
        net.body.bias.zero_()
    torch.testing.assert_close(net(Batch(past, None))[..., 0], past @ wanted.T)


def test_a_level_added_to_the_window_is_added_to_the_forecast():
    net, past = built(), torch.randn(4, 6)
    torch.testing.assert_close(net(Batch(past + 7.0, None)), net(Batch(past, None)) + 7.0)


def test_it_starts_as_the_mean_of_the_window():
    net = Linear(seasonal_skip=False).build(Facts(6, 3))
    past = torch.randn(4, 6)
    torch.testing.assert_close(net(Batch(past, None))[..., 0], past.mean(1, keepdim=True).expand(4, 3))
