"""Multi-layer perceptron against its equation."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from forecast.errors import ConfigError
from forecast.nets.facts import Facts
from forecast.nets.mlp import MLP
from forecast.windows.gather import Batch


def test_the_net_equals_its_equation():
    torch.manual_seed(0)
    net = MLP(hidden_size=5, num_layers=2, seasonal_skip=False).build(Facts(6, 3))
    first, second, last = (layer for layer in net.body if isinstance(layer, nn.Linear))
    past = torch.randn(4, 6)
    x = torch.relu(past @ first.weight.T + first.bias)
    x = torch.relu(x @ second.weight.T + second.bias)
    torch.testing.assert_close(net(Batch(past, None))[..., 0], x @ last.weight.T + last.bias)


def test_quantiles_are_moved_by_the_seasonal_skip_not_spread():
    torch.manual_seed(1)
    facts = Facts(4, 3, seasons=(2,), probs=(0.1, 0.5, 0.9))
    net, past = MLP(hidden_size=5).build(facts), torch.tensor([[1.0, 2.0, 3.0, 0.0]])
    with_skip, net.skip = net(Batch(past, None)), None
    without = net(Batch(past, None))
    torch.testing.assert_close(with_skip - without, torch.tensor([3.0, 0, 3.0]).reshape(1, 3, 1).expand(1, 3, 3))


def test_no_hidden_layer_is_refused():
    with pytest.raises(ConfigError, match="num_layers=0"):
        MLP(num_layers=0).build(Facts(6, 3))
