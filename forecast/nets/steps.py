"""A recurrent layer stack one step at a time, over many paths: what sampling spends its time in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from forecast.nets.encoders import State

PRECISIONS = ("32", "bf16")
Layer = nn.RNN | nn.LSTM | nn.GRU


class Steps(Protocol):
    """Reads one value of every channel on every path; tells the hidden state of the last layer."""

    def __call__(self, channels: Sequence[Tensor]) -> Tensor:
        """Channels, each (samples, b) or broadcast to it, to features (hidden_size, samples, b).

        What an earlier call gave is no longer valid.
        """
        ...


def steps(layer: Layer, state: State, samples: int, precision: str = "32") -> Steps:
    """``layer`` going on from ``state`` (layers, b, hidden_size), ``samples`` paths for each of b windows.

    ``precision`` (of :data:`PRECISIONS`) is that of the products of :class:`LSTMSteps`; elsewhere it is not used.
    """
    by_hand = isinstance(layer, nn.LSTM) and not layer.bidirectional and not (layer.training and layer.dropout)
    if by_hand and isinstance(state, tuple) and state[0].device.type == "cpu" and not torch.is_grad_enabled():
        return LSTMSteps(layer, state, samples, torch.bfloat16 if precision == "bf16" else state[0].dtype)
    return LayerSteps(layer, state, samples)


class LayerSteps:
    """Any cell, on any device, with gradients: the layer itself, called for one row."""

    def __init__(self, layer: Layer, state: State, samples: int) -> None:
        self.layer, self.samples = layer, samples
        if isinstance(state, tuple):
            hidden, memory = (part.repeat(1, samples, 1) for part in state)
            self.state: State = hidden, memory
        else:
            self.state = state.repeat(1, samples, 1)

    def __call__(self, channels: Sequence[Tensor]) -> Tensor:
        shape = torch.broadcast_shapes(*(channel.shape for channel in channels))
        rows = torch.stack([channel.expand(shape) for channel in channels], -1).flatten(0, 1).unsqueeze(1)
        features, self.state = self.layer(rows, self.state)
        return features.squeeze(1).t().unflatten(1, (self.samples, -1))


class LSTMSteps:
    """An LSTM (Hochreiter and Schmidhuber 1997, as ``nn.LSTM`` writes it) for one step on a CPU, without gradients.

    Per layer one matrix product gives all gates, and paths come last, so that every gate is one block of memory. The
    hyperbolic tangents are written as 2 s(2x) - 1, because the logistic function s is several times as fast; the twos
    are folded into weights and states: hidden states are kept halved. Against the layer: half to two thirds of the
    time, and the same numbers up to rounding; in bfloat16 the products alone are rounded, the memory is not.
    """

    def __init__(self, layer: nn.LSTM, state: tuple[Tensor, Tensor], samples: int, precision: torch.dtype) -> None:
        hidden, memory = state
        self.size, self.samples = layer.hidden_size, samples
        self.weights = [_gates(layer, number).to(precision) for number in range(layer.num_layers)]
        self.memory = [part.t().repeat(1, samples) for part in memory]
        # Of each layer: its own last hidden state, then what it reads, then ones for the bias.
        self.rows = [weight.new_ones(weight.shape[1], samples * hidden.shape[1]) for weight in self.weights]
        for rows, part in zip(self.rows, hidden, strict=True):
            rows[: self.size] = 0.5 * part.t().repeat(1, samples)

    def __call__(self, channels: Sequence[Tensor]) -> Tensor:
        read = self.rows[0][self.size : -1].unflatten(1, (self.samples, -1))
        for row, channel in zip(read, channels, strict=True):
            row.copy_(channel)
        features = self.memory[0]
        for number, (weight, rows, memory) in enumerate(zip(self.weights, self.rows, self.memory, strict=True)):
            if number:
                rows[self.size : -1] = features
            entering, kept, new, shown = torch.mm(weight, rows).to(memory.dtype).sigmoid_().chunk(4)
            memory.mul_(kept).addcmul_(entering, new.sub_(0.5), value=2.0)
            features = torch.sigmoid(2.0 * memory).sub_(0.5).mul_(shown)
            rows[: self.size] = features
        return (2.0 * features).unflatten(1, (self.samples, -1))


def _gates(layer: nn.LSTM, number: int) -> Tensor:
    """Weights of all gates of a layer, (4 * hidden_size, hidden_size + inputs + 1), for halved hidden states."""
    recurrent, read = getattr(layer, f"weight_hh_l{number}"), getattr(layer, f"weight_ih_l{number}")
    bias = getattr(layer, f"bias_ih_l{number}") + getattr(layer, f"bias_hh_l{number}")
    weight = torch.cat([2.0 * recurrent, (2.0 if number else 1.0) * read, bias.unsqueeze(1)], 1)
    weight[2 * layer.hidden_size : 3 * layer.hidden_size] *= 2.0
    return weight
