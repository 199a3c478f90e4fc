"""One to many: a whole sequence from one vector, as captions are written from one image (Vinyals, Toshev, Bengio and
Erhan 2015, "Show and Tell: A Neural Image Caption Generator", arXiv 1411.4555). Here the vector holds the static
features of a series and the sequence is its life from the first row on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from forecast.errors import ConfigError
from forecast.nets.checks import at_least_one
from forecast.nets.encoders import recurrent
from forecast.nets.facts import Facts, Needs
from forecast.nets.heads import head
from forecast.windows.gather import Batch


class ColdStartNet(nn.Module):
    """An embedding of the static features begins a recurrent decoder and is its input at every step, beside an
    embedding of the step; what the features say about all steps alike is added to its output.

    Reads ``Batch.static`` (B, features) and nothing else. Gives the whole life, (B, input_size + h, outputs): step k is
    the k-th row of the series, in units of the panel.
    """

    def __init__(self, facts: Facts, cell: str, hidden_size: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        self.cell = cell
        self.layers = num_layers
        self.embed = nn.Linear(facts.static, hidden_size)
        self.begin = nn.Linear(hidden_size, num_layers * hidden_size)
        self.step = nn.Parameter(torch.randn(facts.input_size + facts.h, hidden_size) * 0.1)
        self.decoder = recurrent(cell, 2 * hidden_size, hidden_size, num_layers, dropout)
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(hidden_size, facts.outputs)
        self.level = nn.Linear(hidden_size, 1)
        self.head = head(facts)

    def forward(self, batch: Batch) -> Tensor:
        if batch.static is None:
            raise ValueError("the net reads static features, the batch has none")
        embedded = self.dropout(functional.relu(self.embed(batch.static)))  # (B, hidden)
        size, steps = len(embedded), len(self.step)
        hidden = torch.tanh(self.begin(embedded)).reshape(size, self.layers, -1).transpose(0, 1).contiguous()
        state = (hidden, torch.zeros_like(hidden)) if self.cell == "lstm" else hidden
        read = torch.cat([embedded.unsqueeze(1).expand(-1, steps, -1), self.step.expand(size, -1, -1)], dim=-1)
        features, _ = self.decoder(read, state)
        life: Tensor = self.head(self.project(self.dropout(features)), self.level(embedded).unsqueeze(1))
        return life


@dataclass(frozen=True)
class ColdStart:
    """A series before it has any history, from its static features alone: the typical life of such a series.

    It learns how series begin, in units common to all of them, and is judged on series that it has not seen. A series
    that has rows is forecast by how many they are, not by what they say: use another net for it.

    Args:
        input_size: how old a series may be and still be told apart by its age, in rows; older ones are taken to be
            that old. ``None`` derives it from horizon, season and series lengths.
        cell: ``lstm``, ``gru``, ``rnn`` (tanh) or ``rnn_relu``.
        hidden_size: width of embedding and state.
        num_layers: stacked recurrent layers.
        dropout: on the embedding and before the output (and between layers).
        quantiles: probabilities to forecast besides the median; empty for a point forecast.
    """

    input_size: int | None = None
    cell: str = "lstm"
    hidden_size: int = 64
    num_layers: int = 1
    dropout: float = 0.2
    quantiles: tuple[float, ...] = ()
    no_likelihood: ClassVar[str] = "It works in units common to all series: use quantiles."
    needs: ClassVar[Needs] = Needs(static=True, futr=False, cold=True)

    def build(self, facts: Facts) -> nn.Module:
        """The network for ``facts``. Raises ``ConfigError`` without static features and for an unknown cell."""
        at_least_one(hidden_size=self.hidden_size, num_layers=self.num_layers)
        if not facts.static:
            raise ConfigError("ColdStart forecasts from static features alone: pass static_df, a row for each series.")
        return ColdStartNet(facts, self.cell, self.hidden_size, self.num_layers, self.dropout)
