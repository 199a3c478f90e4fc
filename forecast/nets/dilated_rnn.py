"""Dilated RNN (Chang et al. 2017, "Dilated Recurrent Neural Networks", arXiv 1710.02224) with the direct decoder."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import ClassVar

from torch import Tensor, nn

from forecast.errors import ConfigError
from forecast.nets.checks import at_least_one
from forecast.nets.encoders import recurrent
from forecast.nets.facts import Facts, Needs
from forecast.nets.readout import Readout
from forecast.nets.rows import fold, unfold


def spacings(dilations: tuple[int, ...]) -> tuple[int, ...]:
    """How far apart, counted back from the last row, are the rows each layer has to be run on.

    The readout wants the last row only (all rows when the first dilation is above 1). A layer that is asked for every
    s-th row, and links rows d apart, needs every gcd(d, s)-th: with dilations 1, 2, 4 the layers run on all rows,
    every second and every fourth.
    """
    wanted = 0 if dilations[0] == 1 else 1
    found = []
    for dilation in reversed(dilations):
        wanted = gcd(dilation, wanted)
        found.append(wanted)
    return tuple(reversed(found))


class DilatedEncoder(nn.Module):
    """Stacked recurrent layers; in layer l the state of row t comes from row t - d_l. (B, T, channels) -> (B, width).

    Rows that are d apart form a sequence each, so that the ordinary kernels run, on shorter sequences. When the first
    dilation d is above 1, the last d rows of the top layer are fused, as the paper does: width is then d times the
    hidden size.
    """

    def __init__(self, cell: str, channels: int, hidden_size: int, dilations: tuple[int, ...], dropout: float) -> None:
        super().__init__()
        self.dilations = dilations
        self.spacings = spacings(dilations)
        self.width = hidden_size * dilations[0]
        sizes = [channels, *(hidden_size for _ in dilations[1:])]
        self.layers = nn.ModuleList(recurrent(cell, size, hidden_size) for size in sizes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        before = 1
        for number, (layer, dilation, spacing) in enumerate(
            zip(self.layers, self.dilations, self.spacings, strict=True)
        ):
            skipped = spacing // before
            x = x[:, (x.shape[1] - 1) % skipped :: skipped]
            x = dilated(layer, self.dropout(x) if number else x, dilation // spacing)
            before = spacing
        return x[:, -self.dilations[0] :].flatten(1)


def dilated(layer: nn.Module, x: Tensor, dilation: int) -> Tensor:
    """Outputs of a recurrent ``layer`` whose state at row t comes from row t - dilation: (B, T, C) -> (B, T, H)."""
    rows = x.shape[1]
    dilation = min(dilation, rows)  # beyond that no row has one before it
    if dilation == 1:
        output: Tensor = layer(x)[0]
        return output
    return unfold(layer(fold(x, dilation))[0], dilation, rows)


@dataclass(frozen=True)
class DilatedRNN:
    """Recurrent layers that skip back 1, 2, 4, … rows: long memory over short paths, and less to compute.

    Args:
        input_size: rows of past in a window; ``None`` derives it from horizon, season and series lengths.
        cell: ``lstm``, ``gru``, ``rnn`` (tanh) or ``rnn_relu``.
        hidden_size: width of each layer's state.
        dilations: how many rows back each layer's state comes from, one layer for each.
        dropout: before the decoder and between layers.
        seasonal_skip: add the forecast to a learned blend of seasonal naive forecasts.
        likelihood: forecast its parameters instead of a point, see :mod:`forecast.distributions`: ``student_t``, …
        quantiles: probabilities to forecast besides the median; empty for a point forecast.
    """

    input_size: int | None = None
    cell: str = "lstm"
    hidden_size: int = 64
    dilations: tuple[int, ...] = (1, 2, 4)
    dropout: float = 0.0
    seasonal_skip: bool = True
    likelihood: str | None = None
    quantiles: tuple[float, ...] = ()
    needs: ClassVar[Needs] = Needs(static=True, hist=True)

    def build(self, facts: Facts) -> nn.Module:
        """The network for ``facts``. Raises ``ConfigError`` for an unknown cell or dilations that cannot be."""
        at_least_one(hidden_size=self.hidden_size)
        if not self.dilations or min(self.dilations) < 1:
            raise ConfigError(f"dilations={list(self.dilations)}: give one or more whole numbers from 1 up.")
        if self.dilations[0] > facts.input_size:
            raise ConfigError(
                f"dilations={list(self.dilations)}: the first lies beyond the window of {facts.input_size} rows. "
                "Lower it, or raise input_size."
            )
        encoder = DilatedEncoder(self.cell, facts.inputs, self.hidden_size, self.dilations, self.dropout)
        return Readout(facts, encoder, encoder.width, self.dropout, self.seasonal_skip)
