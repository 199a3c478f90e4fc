"""Elman's recurrent net (Elman 1990, "Finding Structure in Time") with the direct decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from forecast.errors import ConfigError
from forecast.nets.compose import direct_net
from forecast.nets.facts import Facts, Needs
from forecast.nets.stream import StreamNet


@dataclass(frozen=True)
class RNN:
    """h_t = f(W_hh h + W_xh x + b) over the window, all steps of the horizon at once.

    Args:
        input_size: rows of past in a window; ``None`` derives it from horizon, season and series lengths.
        hidden_size: width of the state.
        num_layers: stacked recurrent layers.
        nonlinearity: ``tanh`` or ``relu``.
        dropout: before the decoder (and between layers).
        bidirectional: read the past in both directions.
        seasonal_skip: add the forecast to a learned blend of seasonal naive forecasts.
        likelihood: forecast its parameters instead of a point, see :mod:`forecast.distributions`: ``student_t``, …
        quantiles: probabilities to forecast besides the median; empty for a point forecast.
    """

    input_size: int | None = None
    hidden_size: int = 64
    num_layers: int = 1
    nonlinearity: str = "tanh"
    dropout: float = 0.0
    bidirectional: bool = False
    seasonal_skip: bool = True
    likelihood: str | None = None
    quantiles: tuple[float, ...] = ()
    needs: ClassVar[Needs] = Needs(static=True, hist=True)

    def build(self, facts: Facts) -> nn.Module:
        """The network for ``facts``."""
        return direct_net(
            facts, self._cell(), self.hidden_size, self.num_layers, self.dropout, self.bidirectional, self.seasonal_skip
        )

    def stream(self, facts: Facts) -> StreamNet:
        """The net that reads whole series row by row, for ``facts``."""
        return StreamNet(facts, self._cell(), self.hidden_size, self.num_layers, self.dropout, self.seasonal_skip)

    def _cell(self) -> str:
        if self.nonlinearity not in ("tanh", "relu"):
            raise ConfigError(f"nonlinearity={self.nonlinearity!r} is not one of tanh, relu.")
        return "rnn_relu" if self.nonlinearity == "relu" else "rnn"
