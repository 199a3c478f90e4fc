"""NLinear (Zeng et al. 2022, "Are Transformers Effective for Time Series Forecasting?", arXiv 2205.13504)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from forecast.nets.facts import Facts
from forecast.nets.flat import Flat, silent


@dataclass(frozen=True)
class NLinear:
    """One linear map of the window less its last value, which is added back: a reference for the recurrent nets.

    Args:
        input_size: rows of past in a window; ``None`` derives it from horizon, season and series lengths.
        seasonal_skip: add the forecast to a learned blend of seasonal naive forecasts; ``False`` gives the paper's.
        quantiles: probabilities to forecast besides the median; empty for a point forecast.
    """

    input_size: int | None = None
    seasonal_skip: bool = True
    quantiles: tuple[float, ...] = ()

    def build(self, facts: Facts) -> nn.Module:
        """The network for ``facts``."""
        body = silent(facts.input_size * facts.channels, facts.h * facts.outputs)
        return Flat(facts, body, self.seasonal_skip, centre=False)
