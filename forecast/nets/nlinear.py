"""NLinear (Zeng et al. 2022, "Are Transformers Effective for Time Series Forecasting?", arXiv 2205.13504)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from forecast.nets.facts import Facts, Needs
from forecast.nets.flat import Flat, silent
from forecast.nets.scaling import check_scaling


@dataclass(frozen=True)
class NLinear:
    """One linear map of the window less its last value, which is added back: a reference for the recurrent nets.

    Args:
        input_size: rows of past in a window; ``None`` derives it from horizon, season and series lengths.
        seasonal_skip: add the forecast to a learned blend of seasonal naive forecasts; ``False`` gives the paper's.
        dropout: of the rows of the window in training: for a linear map a ridge penalty on each row in proportion to
            how much it varies (Wager, Wang and Liang 2013, "Dropout Training as Adaptive Regularization").
        scaling: each ``window`` is divided by its own spread, or by that of its whole ``series`` (the paper's form),
            where restless windows weigh more in the loss.
        likelihood: forecast its parameters instead of a point, see :mod:`forecast.distributions`: ``student_t``, …
        quantiles: probabilities to forecast besides the median; empty for a point forecast.
    """

    input_size: int | None = None
    seasonal_skip: bool = True
    dropout: float = 0.0
    scaling: str = "window"
    likelihood: str | None = None
    quantiles: tuple[float, ...] = ()

    @property
    def needs(self) -> Needs:
        """Windows in the units that ``scaling`` says."""
        return Needs(spread=self.scaling == "window")

    def build(self, facts: Facts) -> nn.Module:
        """The network for ``facts``. Raises ``ConfigError`` for an unknown scaling."""
        check_scaling(self.scaling)
        body = silent(facts.input_size * facts.channels, facts.h * facts.outputs)
        return Flat(facts, body, self.seasonal_skip, centre=False, dropout=self.dropout)
