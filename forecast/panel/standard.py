"""Series in units of their own beginning, as published benchmarks score them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from forecast.errors import DataError, Fault
from forecast.panel.panel import Panel


def standardized(panel: Panel, rows: int) -> Panel:
    """Each series less the mean of its first ``rows``, over their standard deviation (divisor n).

    Errors then compare across series, and with tables whose data were z-scored by the training part. Raises
    ``DataError`` naming the series whose first rows do not vary.
    """
    result = replace(panel, values=panel.values.copy())
    constant = []
    for name, series in zip(panel.ids, result.each(), strict=True):  # views: changed in place
        known = series[:rows][np.isfinite(series[:rows])]
        spread = known.std() if known.size else 0.0
        if spread > 0:
            series -= known.mean()
            series /= spread
        else:
            problem = f"its first {rows} rows do not vary, so they give no unit to standardise by"
            remedy = "Use more rows (data.standardize), or leave data.standardize out."
            constant.append(Fault(panel.schema.target_col, problem, remedy, name))
    if constant:
        raise DataError(constant)
    return result
