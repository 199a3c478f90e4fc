"""minLSTM (Feng et al. 2024, "Were RNNs All We Needed?", arXiv 2410.01201) with the direct decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from forecast.nets.checks import at_least_one
from forecast.nets.facts import Facts, Needs
from forecast.nets.minimal import MinimalEncoder, memory_spans
from forecast.nets.readout import Readout
from forecast.nets.scan import recurrence


class MinLSTMLayer(nn.Module):
    """f = sigmoid(W_f x), i = sigmoid(W_i x), h_t = f / (f + i) h_(t-1) + i / (f + i) (W_h x).

    Time first: (T, B, width) -> (T, B, width). Units begin with memories from one row to ``rows`` long.
    """

    def __init__(self, width: int, rows: int) -> None:
        super().__init__()
        self.project = nn.Linear(width, 3 * width)
        spans = memory_spans(width, rows)
        with torch.no_grad():
            # log sigmoid(b) - log sigmoid(-b) = b, so f / (f + i) is sigmoid(b)
            self.project.bias[: 2 * width] = torch.cat([spans, -spans])

    def forward(self, x: Tensor) -> Tensor:
        # Back from bfloat16 under autocast: a state sums up many rows, and rounding with it.
        forget, write, candidate = self.project(x).to(self.project.weight.dtype).chunk(3, dim=-1)
        # f / (f + i) without a division that could be 0 / 0
        odds = functional.logsigmoid(forget) - functional.logsigmoid(write)
        return recurrence(torch.sigmoid(odds), torch.sigmoid(-odds) * candidate)


@dataclass(frozen=True)
class MinLSTM:
    """Minimal long short-term memory: gates see the input only and sum to one, so training needs no steps through time.

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
        layers = [MinLSTMLayer(self.hidden_size, facts.input_size) for _ in range(self.num_layers)]
        encoder = MinimalEncoder(facts.inputs, self.kernel, self.hidden_size, layers, self.dropout)
        return Readout(facts, encoder, self.hidden_size, self.dropout, self.seasonal_skip)
