"""DLinear (Zeng et al. 2022, "Are Transformers Effective for Time Series Forecasting?", arXiv 2205.13504)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from forecast.errors import ConfigError
from forecast.nets.facts import Facts
from forecast.nets.flat import Flat, silent


def moving_average(values: Tensor, kernel: int) -> Tensor:
    """Centred moving average of odd width, first and last value repeated at the ends. (B, T) -> (B, T)."""
    reach = kernel // 2
    ends = [values[:, :1].expand(-1, reach), values, values[:, -1:].expand(-1, reach)]
    return functional.avg_pool1d(torch.cat(ends, dim=1), kernel, stride=1)


class Decomposed(nn.Module):
    """Trend and remainder of the values, a linear map for each, summed. (B, features) -> (B, outputs).

    ``features`` beyond the first ``rows`` (the indicator of known rows) join the remainder's map.
    """

    def __init__(self, rows: int, features: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.rows = rows
        self.kernel = kernel
        self.seasonal = silent(features, outputs)
        self.trend = silent(rows, outputs)

    def forward(self, x: Tensor) -> Tensor:
        values = x[:, : self.rows]
        trend = moving_average(values, self.kernel)
        remainder = torch.cat([values - trend, x[:, self.rows :]], dim=1)
        forecast: Tensor = self.seasonal(remainder) + self.trend(trend)
        return forecast


@dataclass(frozen=True)
class DLinear:
    """The window split into a moving average and the rest, one linear map for each: a reference for recurrent nets.

    Values are centred on the window's mean, as in :class:`forecast.nets.linear.Linear`.

    Args:
        input_size: rows of past in a window; ``None`` derives it from horizon, season and series lengths.
        kernel: rows of the moving average, an odd number.
        seasonal_skip: start from a learned blend of seasonal naive forecasts instead of the window's mean; ``False``
            gives the paper's.
        likelihood: forecast its parameters instead of a point, see :mod:`forecast.distributions`: ``student_t``, …
        quantiles: probabilities to forecast besides the median; empty for a point forecast.
    """

    input_size: int | None = None
    kernel: int = 25
    seasonal_skip: bool = True
    likelihood: str | None = None
    quantiles: tuple[float, ...] = ()

    def build(self, facts: Facts) -> nn.Module:
        """The network for ``facts``. Raises ``ConfigError`` for an even or negative ``kernel``."""
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise ConfigError(f"kernel={self.kernel}: a centred moving average needs an odd number of rows from 1 up.")
        rows = facts.input_size
        body = Decomposed(rows, rows * facts.channels, facts.h * facts.outputs, self.kernel)
        return Flat(facts, body, self.seasonal_skip, centre=True)
