"""Linear (Zeng et al. 2022, "Are Transformers Effective for Time Series Forecasting?", arXiv 2205.13504)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from forecast.nets.facts import Facts
from forecast.nets.flat import Flat, silent


@dataclass(frozen=True)
class Linear:
    """One linear map from the window to the horizon: a reference for the recurrent nets.

    The paper standardises once for each data set; here every window is centred on its own mean, which is what is left
    of that map when the level of a series must pass through to its forecast. ``seasonal_skip=False`` gives the paper's.

    Args:
        input_size: rows of past in a window; ``None`` derives it from horizon, season and series lengths.
        seasonal_skip: start from a learned blend of seasonal naive forecasts instead of the window's mean.
        likelihood: forecast its parameters instead of a point, see :mod:`forecast.distributions`: ``student_t``, …
        quantiles: probabilities to forecast besides the median; empty for a point forecast.
    """

    input_size: int | None = None
    seasonal_skip: bool = True
    likelihood: str | None = None
    quantiles: tuple[float, ...] = ()

    def build(self, facts: Facts) -> nn.Module:
        """The network for ``facts``."""
        body = silent(facts.input_size * facts.channels, facts.h * facts.outputs)
        return Flat(facts, body, self.seasonal_skip, centre=True)
