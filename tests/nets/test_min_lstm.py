"""minLSTM against its equations."""

from __future__ import annotations

import pytest
import torch

from forecast.errors import ConfigError
from forecast.nets import scan as scan_module
from forecast.nets.facts import Facts
from forecast.nets.min_lstm import MinLSTM, MinLSTMLayer
from forecast.windows.gather import Batch


def test_a_layer_equals_its_step_equations():
    torch.manual_seed(0)
    layer = MinLSTMLayer(4, 9)
    x = torch.randn(9, 3, 4)
    h = torch.zeros(3, 4)
    outputs = layer(x)
    for t in range(9):
        forget, write, candidate = (x[t] @ layer.project.weight.T + layer.project.bias).chunk(3, dim=-1)
        f, i = torch.sigmoid(forget), torch.sigmoid(write)
        h = f / (f + i) * h + i / (f + i) * candidate
        torch.testing.assert_close(outputs[t], h)


def test_units_begin_with_memories_from_one_row_to_the_whole_window():
    layer = MinLSTMLayer(5, 81)
    f, i = torch.sigmoid(layer.project.bias[:5]), torch.sigmoid(layer.project.bias[5:10])
    torch.testing.assert_close(f / (f + i), torch.tensor([1 / 2, 3 / 4, 9 / 10, 27 / 28, 81 / 82]))


def test_gates_that_both_close_give_no_nan():
    layer = MinLSTMLayer(2, 9)
    with torch.no_grad():
        layer.project.bias[:4] = -200.0
    out = layer(torch.randn(9, 3, 2))
    assert torch.isfinite(out).all()


def test_the_net_gives_the_same_with_a_parallel_scan(monkeypatch):
    torch.manual_seed(1)
    net = MinLSTM(hidden_size=6).build(Facts(15, 3))
    batch = Batch(torch.randn(4, 15), None)
    looped = net(batch)
    monkeypatch.setattr(scan_module, "loop", scan_module.scan)
    torch.testing.assert_close(net(batch), looped)


def test_sizes_below_one_are_named():
    with pytest.raises(ConfigError, match="hidden_size=0"):
        MinLSTM(hidden_size=0).build(Facts(8, 2))
