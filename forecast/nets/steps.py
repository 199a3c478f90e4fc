"""A recurrent layer stack one step at a time, over many paths: what sampling spends its time in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from forecast.nets.encoders import State
from forecast.processor import native_bf16

PRECISIONS = ("auto", "32", "bf16")
Layer = nn.RNN | nn.LSTM | nn.GRU


class Steps(Protocol):
    """Reads one value of every channel on every path; tells what is read out of the last layer's hidden state."""

    def __call__(self, channels: Sequence[Tensor]) -> Tensor:
        """Channels, each (samples, b) or broadcast to it, to (outputs, samples, b)."""
        ...


def steps(layer: Layer, readout: nn.Linear, state: State, samples: int, precision: str = "32") -> Steps:
    """``layer`` and ``readout`` going on from ``state`` (layers, b, hidden_size), ``samples`` paths a window.

    ``precision`` is that of the products of :class:`LSTMSteps`, elsewhere it is not used: ``32``, ``bf16``, or ``auto``
    for bf16 where the processor computes in it.
    """
    if isinstance(layer, nn.LSTM) and isinstance(state, tuple) and _by_hand(layer, state[0]):
        half = precision == "bf16" or (precision == "auto" and native_bf16())
        return LSTMSteps(layer, readout, state, samples, torch.bfloat16 if half else state[0].dtype)
    return LayerSteps(layer, readout, state, samples)


def _by_hand(layer: nn.LSTM, hidden: Tensor) -> bool:
    drops = layer.training and layer.dropout > 0.0
    return hidden.device.type == "cpu" and not (torch.is_grad_enabled() or layer.bidirectional or drops)


class LayerSteps:
    """Any cell, on any device, with gradients: the layer itself, called for one row."""

    def __init__(self, layer: Layer, readout: nn.Linear, state: State, samples: int) -> None:
        self.layer, self.readout = layer, readout
        if isinstance(state, tuple):
            hidden, memory = (part.repeat(1, samples, 1) for part in state)
            self.state: State = hidden, memory
        else:
            self.state = state.repeat(1, samples, 1)

    def __call__(self, channels: Sequence[Tensor]) -> Tensor:
        rows = torch.stack(torch.broadcast_tensors(*channels), -1)  # type: ignore[no-untyped-call]
        features, self.state = self.layer(rows.flatten(0, 1).unsqueeze(1), self.state)
        read: Tensor = self.readout(features.squeeze(1))
        return read.t().reshape(-1, *rows.shape[:2])


class LSTMSteps:
    """An LSTM (Hochreiter and Schmidhuber 1997, as ``nn.LSTM`` writes it) on a CPU, without gradients.

    Per layer one matrix product gives all gates, and paths come last, so that each gate is one piece of memory. The
    hyperbolic tangents are written as 2 s(2x) - 1, because the logistic function s is several times as fast; the twos
    are folded into weights and states: hidden states and memory are kept halved and doubled. The numbers are those of
    the layer up to rounding. With bfloat16 the operands and results of the products are rounded, the memory is not.
    """

    def __init__(
        self, layer: nn.LSTM, readout: nn.Linear, state: tuple[Tensor, Tensor], samples: int, precision: torch.dtype
    ) -> None:
        hidden, memory = (part.transpose(1, 2).repeat(1, 1, samples) for part in state)  # (layers, hidden_size, paths)
        self.size = layer.hidden_size
        self.weights = [_gates(layer, number).to(precision) for number in range(layer.num_layers)]
        self.readout, self.bias = 2.0 * readout.weight, readout.bias.unsqueeze(1)
        self.memory = list(memory.mul_(2.0))
        # Of each layer: its own last hidden state, then what it reads, then ones for the bias.
        self.rows = [weight.new_ones(weight.shape[1], hidden.shape[2]) for weight in self.weights]
        for rows, part in zip(self.rows, hidden, strict=True):
            rows[: self.size] = part.mul_(0.5)
        self.channels = self.rows[0][self.size : -1].view(layer.input_size, samples, -1)
        self.features = torch.empty_like(self.memory[0])
        self.gates = hidden.new_empty(4 * self.size, hidden.shape[2])
        self.products = self.gates if precision == self.gates.dtype else self.gates.to(precision)

    def __call__(self, channels: Sequence[Tensor]) -> Tensor:
        for row, channel in zip(self.channels, channels, strict=True):
            row.copy_(channel)
        entering, kept, new, shown = self.gates.chunk(4)
        features = self.features
        for number, (weight, rows, memory) in enumerate(zip(self.weights, self.rows, self.memory, strict=True)):
            if number:
                rows[self.size : -1] = features
            torch.mm(weight, rows, out=self.products)
            if self.products is not self.gates:
                self.gates.copy_(self.products)
            self.gates.sigmoid_()
            memory.mul_(kept).addcmul_(entering, new.sub_(0.5), value=4.0)
            torch.sigmoid(memory, out=features).sub_(0.5).mul_(shown)
            rows[: self.size] = features
        read: Tensor = torch.addmm(self.bias, self.readout, features)
        return read.view(-1, *self.channels.shape[1:])


def _gates(layer: nn.LSTM, number: int) -> Tensor:
    """Weights of all gates of a layer, (4 * hidden_size, hidden_size + inputs + 1), for halved hidden states."""
    recurrent, read = getattr(layer, f"weight_hh_l{number}"), getattr(layer, f"weight_ih_l{number}")
    bias = getattr(layer, f"bias_ih_l{number}") + getattr(layer, f"bias_hh_l{number}")
    weight = torch.cat([2.0 * recurrent, (2.0 if number else 1.0) * read, bias.unsqueeze(1)], 1)
    weight[2 * layer.hidden_size : 3 * layer.hidden_size] *= 2.0
    return weight
