"""From predictions to the frame of forecasts that goes into a sink."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.batch.form import Form
from forecast.batch.key import RunKey
from forecast.forecasts import Wanted, future_stamps, model_columns
from forecast.model import Prediction
from forecast.panel.clock import as_index
from forecast.panel.panel import Panel

if TYPE_CHECKING:
    from forecast.batch.models.fallback import Forecasts

POINT = "mean"


@dataclass(frozen=True)
class Product:
    """What a run has made, with all that the ledger needs to know of it.

    Attributes:
        key: the key of the run.
        cutoff: the latest cutoff of its series.
        facts: plain values for the ledger.
        form, frame: the forecasts.
        counts: numbers for the ledger: series, rows, quarantined, and series by source.
        reasons: why forecasts are not by the job's own model -> series.
    """

    key: RunKey
    cutoff: pd.Timestamp | int
    facts: Mapping[str, Any]
    form: Form
    frame: pd.DataFrame
    counts: Mapping[str, Any] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)

    @property
    def by_source(self) -> dict[str, int]:
        """Model that made the forecasts -> series."""
        return dict(self.counts["by"])


def form_of(panel: Panel, asked: Wanted) -> Form:
    """The form of the forecasts of ``panel``."""
    nothing = Prediction(np.empty((0, 1)), np.empty((0, 1, len(asked.probs))), asked.probs)
    stamps = as_index(panel.timeline, panel.timeline.stamps(panel.last[:1]))
    return Form.of(panel.ids, stamps, list(_outputs(nothing, asked)))


def latest_cutoff(panel: Panel) -> pd.Timestamp | int:
    """The last stamp of all series."""
    stamp = as_index(panel.timeline, panel.timeline.stamps(panel.last.max(keepdims=True)))[0]
    return int(stamp) if panel.timeline.kind == "step" else pd.Timestamp(stamp)


def forecast_table(panel: Panel, made: Forecasts, asked: Wanted, model: str, form: Form) -> pd.DataFrame:
    """The forecasts, one row for each series and step, in the order of ids, which is that of sinks.

    Long frames can be large: they are built column by column, text is kept once for each series and repeated by place,
    and the numbers of ``made`` are used up.
    """
    series, h = made.point.shape
    order = np.argsort(pd.factorize(panel.ids, sort=True)[0], kind="stable")
    made, rows = made.arranged(order), np.repeat(order, h)
    ids = panel.ids.to_numpy(np.int64) if form.ids == "integer" else panel.ids.astype("str").array
    columns: dict[str, Any] = {
        "unique_id": ids.take(rows),
        "cutoff": as_index(panel.timeline, panel.timeline.stamps(panel.last)).take(rows),
        "ds": future_stamps(panel, panel.last[order], h),
        "step": np.tile(np.arange(1, h + 1), series),
        "model": pd.array([model], dtype="str").take(np.zeros(series * h, dtype=np.int64)),
    }
    outputs = _outputs(Prediction(made.point, made.quantiles, made.probs), asked)
    columns |= outputs
    for name, values in (("source", made.source), ("reason", made.reason)):
        columns[name] = pd.array(values, dtype="str").take(np.repeat(np.arange(series), h))
    return form.conform(pd.DataFrame(columns, copy=False))


def counted(values: npt.NDArray[np.object_]) -> dict[str, int]:
    """Text -> how often it stands there, most first; no text is not counted."""
    counts = pd.Series(values[values != ""]).value_counts()
    return {str(text): int(count) for text, count in counts.items()}


def _outputs(prediction: Prediction, asked: Wanted) -> dict[str, npt.NDArray[np.float64]]:
    return {name.removeprefix(f"{POINT}-"): value for name, value in model_columns(POINT, prediction, asked).items()}
