"""Recurrent cells written out step by step, to check nets against."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def weights(rnn: nn.RNNBase) -> list[Tensor]:
    """Weights and biases of a one-layer stack: input, state, input bias, state bias."""
    return [rnn.weight_ih_l0, rnn.weight_hh_l0, rnn.bias_ih_l0, rnn.bias_hh_l0]


def rnn_step(x, state, w_x, w_h, b_x, b_h):
    h = torch.tanh(x @ w_x.T + b_x + state[0] @ w_h.T + b_h)
    return h, (h,)


def gru_step(x, state, w_x, w_h, b_x, b_h):
    xr, xz, xn = (x @ w_x.T + b_x).chunk(3, dim=1)
    hr, hz, hn = (state[0] @ w_h.T + b_h).chunk(3, dim=1)
    z = torch.sigmoid(xz + hz)
    h = (1 - z) * torch.tanh(xn + torch.sigmoid(xr + hr) * hn) + z * state[0]
    return h, (h,)


def lstm_step(x, state, w_x, w_h, b_x, b_h):
    i, f, g, o = (x @ w_x.T + b_x + state[0] @ w_h.T + b_h).chunk(4, dim=1)
    c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return h, (h, c)


STEPS = {"rnn": rnn_step, "gru": gru_step, "lstm": lstm_step}


def run(cell: str, rnn: nn.RNNBase, x: Tensor, dilation: int = 1) -> Tensor:
    """Outputs (B, T, H) of a layer whose state at row t comes from row t - dilation, zeros before the first."""
    zero = torch.zeros(x.shape[0], rnn.hidden_size)
    states = []
    outputs = []
    for t in range(x.shape[1]):
        before = states[t - dilation] if t >= dilation else (zero, zero)
        output, state = STEPS[cell](x[:, t], before, *weights(rnn))
        states.append(state)
        outputs.append(output)
    return torch.stack(outputs, dim=1)
