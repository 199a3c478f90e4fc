"""The recurrent encoders against their equations, written out step by step."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from forecast.nets.encoders import Encoder, recurrent, top
from forecast.nets.summary import layer_table, parameter_count

B, L, C, H = 4, 9, 2, 5


def weights(rnn: nn.RNNBase, suffix: str = "l0") -> list[torch.Tensor]:
    return [getattr(rnn, f"{kind}_{suffix}") for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]


def elman(x, w_xh, w_hh, b_x, b_h, activation):
    h = torch.zeros(x.shape[0], w_hh.shape[0])
    outputs = []
    for t in range(x.shape[1]):
        h = activation(x[:, t] @ w_xh.T + b_x + h @ w_hh.T + b_h)
        outputs.append(h)
    return torch.stack(outputs, 1), h


def lstm(x, w_x, w_h, b_x, b_h):
    h = c = torch.zeros(x.shape[0], w_h.shape[1])
    outputs = []
    for t in range(x.shape[1]):
        gates = x[:, t] @ w_x.T + b_x + h @ w_h.T + b_h
        i, f, g, o = gates.chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        outputs.append(h)
    return torch.stack(outputs, 1), h


def gru(x, w_x, w_h, b_x, b_h):
    h = torch.zeros(x.shape[0], w_h.shape[1])
    outputs = []
    for t in range(x.shape[1]):
        xr, xz, xn = (x[:, t] @ w_x.T + b_x).chunk(3, dim=1)
        hr, hz, hn = (h @ w_h.T + b_h).chunk(3, dim=1)
        r, z = torch.sigmoid(xr + hr), torch.sigmoid(xz + hz)
        n = torch.tanh(xn + r * hn)
        h = (1 - z) * n + z * h
        outputs.append(h)
    return torch.stack(outputs, 1), h


STEPS = {
    "rnn": lambda x, *w: elman(x, *w, torch.tanh),
    "rnn_relu": lambda x, *w: elman(x, *w, torch.relu),
    "lstm": lstm,
    "gru": gru,
}


@pytest.mark.parametrize("cell", STEPS)
def test_an_encoder_equals_its_step_equations(cell):
    torch.manual_seed(0)
    encoder = Encoder(cell, C, H, 1, 0.0, False)
    x = torch.randn(B, L, C)
    output, state = encoder(x)
    expected, last = STEPS[cell](x, *weights(encoder.rnn))
    torch.testing.assert_close(output, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(top(state), last, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("cell", STEPS)
def test_a_bidirectional_encoder_reads_the_past_both_ways(cell):
    torch.manual_seed(1)
    encoder = Encoder(cell, C, H, 1, 0.0, True)
    x = torch.randn(B, L, C)
    _, state = encoder(x)
    _, forward = STEPS[cell](x, *weights(encoder.rnn))
    _, backward = STEPS[cell](x.flip(1), *weights(encoder.rnn, "l0_reverse"))
    torch.testing.assert_close(top(state), torch.cat([forward, backward], 1), atol=1e-5, rtol=1e-5)


def test_stacked_layers_feed_each_other():
    torch.manual_seed(2)
    encoder = Encoder("gru", C, H, 2, 0.0, False)
    x = torch.randn(B, L, C)
    between, _ = gru(x, *weights(encoder.rnn, "l0"))
    expected, _ = gru(between, *weights(encoder.rnn, "l1"))
    torch.testing.assert_close(encoder(x)[0], expected, atol=1e-5, rtol=1e-5)


def test_the_output_layer_is_linear_in_the_state():
    rnn, readout = nn.RNN(1, H, batch_first=True), nn.Linear(H, 3)
    x = torch.randn(B, L, 1)
    _, h = elman(x, *weights(rnn), torch.tanh)
    torch.testing.assert_close(readout(rnn(x)[1][0]), h @ readout.weight.T + readout.bias, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("module", "example", "count"),
    [
        (nn.Embedding(1000, 64), torch.zeros(2, 3, dtype=torch.long), 64_000),
        (recurrent("lstm", 64, 128), torch.zeros(2, 3, 64), 99_328),
        (nn.Linear(128, 10), torch.zeros(2, 128), 1_290),
    ],
)
def test_parameters_are_counted_right(module, example, count):
    assert parameter_count(module) == count
    rows = layer_table(module, example)
    assert sum(row["parameters"] for row in rows) == count
    assert rows[0]["kind"] == type(module).__name__


def test_an_lstm_with_one_bias_vector_would_have_512_fewer():
    assert parameter_count(recurrent("lstm", 64, 128)) - 4 * 128 == 98_816


def test_the_layer_table_tells_the_shape_of_each_output():
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    rows = layer_table(net, torch.zeros(3, 5, 4))
    assert [(row["layer"], row["shape"]) for row in rows] == [("0", "5 × 8"), ("1", "5 × 8"), ("2", "5 × 2")]
    assert net.training
