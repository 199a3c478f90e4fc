"""Static features as nets read them: a vector for each series, kept small and written out a batch at a time."""

from __future__ import annotations

import warnings

from forecast.errors import DataError, Fault, ForecastWarning, some
from forecast.panel.encoding import Encoding
from forecast.panel.panel import Panel
from forecast.panel.readings import Readings
from forecast.windows.encoded import EncodedTable


def static_table(panel: Panel, encoding: Encoding) -> EncodedTable:
    """The static features of ``panel`` in the ``encoding`` that was learned, a row for each series.

    Raises ``DataError`` when the panel has none.
    """
    if panel.static is None:
        problem = "the model was fitted with static features, the data have none"
        raise DataError(Fault("static_df", problem, "Give a row for each series."))
    return EncodedTable.encoded(panel.static, encoding)


def tell_strangers(panel: Panel, readings: Readings) -> None:
    """Warn about labels of covariates that were not there in training: they count as unknown."""
    found = readings.strangers(panel)
    if found:
        listed = "; ".join(f"{name}: {some(labels)}" for name, labels in found.items())
        warnings.warn(
            f"labels of covariates that were not there in training count as unknown ({listed}).",
            ForecastWarning,
            stacklevel=3,
        )
