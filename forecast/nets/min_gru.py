"""minGRU (Feng et al. 2024, "Were RNNs All We Needed?", arXiv 2410.01201) with the direct decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from forecast.nets.checks import at_least_one
from forecast.nets.facts import Facts, Needs
from forecast.nets.minimal import MinimalEncoder, memory_spans
from forecast.nets.readout import Readout
from forecast.nets.scan import recurrence


class MinGRULayer(nn.Module):
    """z = sigmoid(W_z x), h_t = (1 - z) h_(t-1) + z (W_h x). Time first: (T, B, width) -> (T, B, width).

    Units begin with memories from one row to ``rows`` long.
    """

    def __init__(self, width: int, rows: int) -> None:
        super().__init__()
        self.project = nn.Linear(width, 2 * width)
        with torch.no_grad():
            self.project.bias[:width] = -memory_spans(width, rows)

    def forward(self, x: Tensor) -> Tensor:
        # Back from bfloat16 under autocast: a state sums up many rows, and rounding with it.
        gate, candidate = self.project(x).to(self.project.weight.dtype).chunk(2, dim=-1)
        update = torch.sigmoid(gate)
        return recurrence(1.0 - update, update * candidate)


@dataclass(frozen=True)
class MinGRU:
    """Minimal gated recurrent unit: gates see the input only, so training needs no steps through time.

    Args:
        input_size: rows of past in a window; ``None`` derives it from horizon, season and series lengths.
        hidden_size: width of the state.
        num_layers: stacked recurrent layers, with residual connections and layer norm.
        kernel: rows that a row is embedded with (itself and those before it).
        dropout: before the decoder and on what each layer adds.
        seasonal_skip: add the forecast to a learned blend of seasonal naive forecasts.
        likelihood: forecast its parameters instead of a point, see :mod:`forecast.distributions`: ``student_t``, …
        quantiles: probabilities to forecast besides the median; empty for a point forecast.
    """

    input_size: int | None = None
    hidden_size: int = 64
    num_layers: int = 2
    kernel: int = 4
    dropout: float = 0.0
    seasonal_skip: bool = True
    likelihood: str | None = None
    quantiles: tuple[float, ...] = ()
    needs: ClassVar[Needs] = Needs(static=True, hist=True)

    def build(self, facts: Facts) -> nn.Module:
        """The network for ``facts``. Raises ``ConfigError`` for a size below 1."""
        at_least_one(hidden_size=self.hidden_size, num_layers=self.num_layers, kernel=self.kernel)
        layers = [MinGRULayer(self.hidden_size, facts.input_size) for _ in range(self.num_layers)]
        encoder = MinimalEncoder(facts.inputs, self.kernel, self.hidden_size, layers, self.dropout)
        return Readout(facts, encoder, self.hidden_size, self.dropout, self.seasonal_skip)
