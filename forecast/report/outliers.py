"""What is said of values absurdly far from their series."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from forecast.errors import ForecastWarning, printable
from forecast.panel.clock import as_index
from forecast.panel.outliers import ABSURD, THRESHOLD, Outliers, find_outliers
from forecast.panel.panel import Panel

SHOWN = 5
PLAUSIBLE = "plausible"


def outlier_frame(panel: Panel) -> pd.DataFrame:
    """One row for each outlier: id, time, target and ``plausible``, the nearest value that would not be one."""
    return _frame(panel, find_outliers(panel))


def tell_outliers(panel: Panel) -> None:
    """Warn about the values that the schema's policy takes back or, without one, that are absurdly far out."""
    words = outlier_words(panel)
    if words:
        warnings.warn(words, ForecastWarning, stacklevel=3)


def outlier_words(panel: Panel) -> str:
    """Which values those are, and what becomes of them; nothing where there are none."""
    clip = panel.schema.outliers == "clip"
    found = find_outliers(panel, THRESHOLD if clip else ABSURD)
    if not found.rows.size:
        return ""
    frame = _frame(panel, Outliers(found.rows[:SHOWN], found.edges[:SHOWN]))
    series = int((found.counts(panel) > 0).sum())
    total = len(found.rows)
    shown = "; ".join(
        f"{printable(name)} at {printable(str(when))[1:-1]}: {value:g}"
        for name, when, value in frame.iloc[:, :3].itertuples(index=False, name=None)
    )
    more = f" and {total - SHOWN} more" if total > SHOWN else ""
    what = f"{total} value{'s' if total > 1 else ''} of {series} series lie{'' if total > 1 else 's'}"
    fate = (
        "models see them taken back to the edge of what is plausible."
        if clip
        else "pass outliers='clip' to take such values back for the models, or mend them."
    )
    return f"{panel.schema.target_col}: {what} absurdly far from the others ({shown}{more}); {fate}"


def _frame(panel: Panel, found: Outliers) -> pd.DataFrame:
    schema = panel.schema
    series = np.searchsorted(panel.offsets, found.rows, side="right") - 1
    ordinals = panel.first[series] + found.rows - panel.offsets[series]
    columns = {
        schema.id_col: panel.ids[series],
        schema.time_col: as_index(panel.timeline, panel.timeline.stamps(ordinals)),
        schema.target_col: panel.values[found.rows],
        PLAUSIBLE: found.edges,
    }
    return pd.DataFrame(columns)
