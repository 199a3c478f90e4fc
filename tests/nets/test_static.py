"""Static features in nets: nothing without them, an additive embedding with them."""

from __future__ import annotations

import pytest
import torch

from forecast.models import (
    GRU,
    LSTM,
    RNN,
    XLSTM,
    DilatedRNN,
    MinGRU,
    MinLSTM,
    ResidualRNN,
    RNNAttention,
    SegRNN,
    Seq2Seq,
    Seq2SeqAttention,
)
from forecast.nets.facts import Facts
from forecast.nets.static import StaticShift, with_rates
from forecast.windows.gather import Batch

NETS = [
    LSTM(hidden_size=6, num_layers=2),
    LSTM(hidden_size=6, bidirectional=True),
    GRU(hidden_size=6),
    RNN(hidden_size=6),
    Seq2Seq(hidden_size=6),
    SegRNN(segment=4, hidden_size=6),
    SegRNN(segment=4, hidden_size=6, decoding="recursive"),
    Seq2SeqAttention(hidden_size=6),
    DilatedRNN(hidden_size=6, dilations=(2, 4)),
    ResidualRNN(hidden_size=6),
    MinGRU(hidden_size=6),
    MinLSTM(hidden_size=6),
    RNNAttention(hidden_size=8),
    XLSTM(hidden_size=8),
]


def built(spec, static: int) -> torch.nn.Module:
    torch.manual_seed(0)
    return spec.build(Facts(input_size=12, h=5, static=static)).eval()


@pytest.mark.parametrize("spec", NETS, ids=repr)
def test_a_net_begins_as_the_net_without_static_features(spec):
    past, static = torch.randn(3, 12), torch.randn(3, 4)
    torch.testing.assert_close(built(spec, 4)(Batch(past, None, static=static)), built(spec, 0)(Batch(past, None)))


@pytest.mark.parametrize("spec", NETS, ids=repr)
def test_static_features_reach_the_forecast_and_learn(spec):
    net = built(spec, 4)
    past, static = torch.randn(1, 12).expand(2, -1), torch.eye(2, 4)
    net(Batch(past, None, static=static)).abs().sum().backward()
    assert net.static.weight.grad.abs().sum() > 0
    with torch.no_grad():
        net.static.weight.normal_()
    one, two = net(Batch(past, None, static=static))
    assert not torch.allclose(one, two)


def test_a_net_saved_without_its_rate_gets_that_of_then_and_keeps_its_own():
    then, now = {"a.weight": torch.ones(2)}, {"static.rate": torch.tensor([0.5])}
    assert with_rates(then, ["a.weight", "net.static.rate"])["net.static.rate"].tolist() == pytest.approx([0.1])
    assert with_rates(now, ["static.rate"]) == now
    assert with_rates(then, ["a.weight"]) == then


def test_the_shift_moves_the_hidden_state_of_every_layer_and_leaves_the_memory():
    shift = StaticShift(2, 3)
    with torch.no_grad():
        shift.weight.copy_(torch.tensor([[10.0, 100.0], [20.0, 200.0], [30.0, 300.0]]))
        shift.rate.fill_(0.1)
    hidden, memory = torch.zeros(2, 1, 3), torch.ones(2, 1, 3)
    moved, kept = shift((hidden, memory), Batch(torch.zeros(1, 4), None, static=torch.tensor([[1.0, 1.0]])))
    assert moved.tolist() == [[[11.0, 22.0, 33.0]], [[11.0, 22.0, 33.0]]]
    assert kept is memory
