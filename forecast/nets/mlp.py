"""Multi-layer perceptron (Rumelhart, Hinton and Williams 1986, "Learning representations by back-propagating
errors")."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import nn

from forecast.nets.checks import at_least_one
from forecast.nets.facts import Facts
from forecast.nets.flat import Flat


@dataclass(frozen=True)
class MLP:
    """The whole window through layers of relu units: a reference for the recurrent nets, as wide and as nonlinear.

    Args:
        input_size: rows of past in a window; ``None`` derives it from horizon, season and series lengths.
        hidden_size: units in each hidden layer.
        num_layers: hidden layers.
        dropout: after each hidden layer.
        seasonal_skip: add the forecast to a learned blend of seasonal naive forecasts.
        likelihood: forecast its parameters instead of a point, see :mod:`forecast.distributions`: ``student_t``, …
        quantiles: probabilities to forecast besides the median; empty for a point forecast.
    """

    input_size: int | None = None
    hidden_size: int = 128
    num_layers: int = 2
    dropout: float = 0.0
    seasonal_skip: bool = True
    likelihood: str | None = None
    quantiles: tuple[float, ...] = ()

    def build(self, facts: Facts) -> nn.Module:
        """The network for ``facts``. Raises ``ConfigError`` for a size below 1."""
        at_least_one(hidden_size=self.hidden_size, num_layers=self.num_layers)
        sizes = [facts.input_size * facts.channels, *(self.hidden_size for _ in range(self.num_layers))]
        layers: list[nn.Module] = []
        for width, following in pairwise(sizes):
            layers += [nn.Linear(width, following), nn.ReLU(), nn.Dropout(self.dropout)]
        body = nn.Sequential(*layers, nn.Linear(self.hidden_size, facts.h * facts.outputs))
        return Flat(facts, body, self.seasonal_skip, centre=False)
