"""minGRU against its equations."""

from __future__ import annotations

import pytest
import torch

from forecast.errors import ConfigError
from forecast.nets import scan as scan_module
from forecast.nets.facts import Facts
from forecast.nets.min_gru import MinGRU, MinGRULayer
from forecast.windows.gather import Batch


def test_a_layer_equals_its_step_equations():
    torch.manual_seed(0)
    layer = MinGRULayer(4, 9)
    x = torch.randn(9, 3, 4)
    h = torch.zeros(3, 4)
    outputs = layer(x)
    for t in range(9):
        z = torch.sigmoid(x[t] @ layer.project.weight[:4].T + layer.project.bias[:4])
        h = (1 - z) * h + z * (x[t] @ layer.project.weight[4:].T + layer.project.bias[4:])
        torch.testing.assert_close(outputs[t], h)


def test_units_begin_with_memories_from_one_row_to_the_whole_window():
    layer = MinGRULayer(5, 81)
    keep = 1 - torch.sigmoid(layer.project.bias[:5])
    torch.testing.assert_close(keep, torch.tensor([1 / 2, 3 / 4, 9 / 10, 27 / 28, 81 / 82]))


def test_the_net_gives_the_same_with_a_parallel_scan(monkeypatch):
    torch.manual_seed(1)
    net = MinGRU(hidden_size=6).build(Facts(15, 3))
    batch = Batch(torch.randn(4, 15), None)
    looped = net(batch)
    monkeypatch.setattr(scan_module, "loop", scan_module.scan)
    torch.testing.assert_close(net(batch), looped)


def test_the_net_reads_every_row_of_the_window():
    torch.manual_seed(2)
    net = MinGRU(hidden_size=6, seasonal_skip=False).build(Facts(15, 3))
    past = torch.randn(2, 15, requires_grad=True)
    net(Batch(past, None)).square().sum().backward()
    assert (past.grad != 0).all()


def test_states_stay_in_full_precision_under_autocast():
    layer = MinGRULayer(4, 9)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.randn(9, 3, 4)).dtype == torch.float32


def test_sizes_below_one_are_named():
    with pytest.raises(ConfigError, match="num_layers=0, kernel=0"):
        MinGRU(num_layers=0, kernel=0).build(Facts(8, 2))
