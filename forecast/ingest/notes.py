"""What is worth a word though it is no fault: ids that look alike, unknown values at the ends, unused columns."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Hashable

import numpy as np
import pandas as pd

from forecast.errors import some
from forecast.ingest.validate import Bool, Rows
from forecast.schema import Schema

LOG = logging.getLogger("forecast")


def row_notes(merged: Rows, trimmed: Rows, schema: Schema, begun: Bool) -> list[str]:
    """Notes of rows before and after their leading unknown values were trimmed; ``begun`` (S,) have a history."""
    return [
        note
        for note in (twins(merged.ids), leading(merged, trimmed, schema.target_col), trailing(trimmed, schema, begun))
        if note
    ]


def twins(ids: pd.Index) -> str:
    """A note of ids that differ in their bytes and look the same, as two ways to write an é do."""
    written: dict[Hashable, list[str]] = {}
    for name in ids:
        if isinstance(name, str) and not name.isascii():
            written.setdefault(unicodedata.normalize("NFC", name), []).append(name)
    alike = [names for names in written.values() if len(names) > 1]
    if not alike:
        return ""
    shown = ", ".join(" and ".join(ascii(name) for name in names) for names in alike[:3])
    more = f" and {len(alike) - 3} more" if len(alike) > 3 else ""
    return (
        f"{ids.name}: different ids look the same ({shown}{more}) and are kept apart. If they are one series, use "
        ".str.normalize('NFC')."
    )


def leading(merged: Rows, trimmed: Rows, column: str) -> str:
    """A note of unknown values before the first known one of their series."""
    gone = len(merged.codes) - len(trimmed.codes)
    if not gone:
        return ""
    fewer = np.bincount(merged.codes, minlength=len(merged.ids)) - np.bincount(trimmed.codes, minlength=len(merged.ids))
    names = merged.ids[fewer > 0]
    return f"{column}: {gone} unknown values before the first known one of {len(names)} series left out: {some(names)}."


def trailing(rows: Rows, schema: Schema, begun: Bool) -> str:
    """A note of series whose last values are unknown: their forecasts begin after the last row all the same."""
    if schema.missing == "raise" or not len(rows.codes):
        return ""
    ends = np.flatnonzero(np.append(rows.codes[1:] != rows.codes[:-1], True))
    ends = ends[np.isnan(rows.values[ends]) & ~begun[rows.codes[ends]]]
    if not ends.size:
        return ""
    names = rows.ids[rows.codes[ends]]
    return (
        f"{schema.target_col}: the last values of {len(ends)} series are unknown: {some(names)}. Forecasts begin after "
        f"the last row ({rows.stamps[ends[0]]}) all the same; drop such rows to begin earlier."
    )


def tell_unused(frame: pd.DataFrame, schema: Schema) -> None:
    """Log, once a frame and no louder than information, the columns that no role makes use of."""
    if not LOG.isEnabledFor(logging.INFO):
        return
    used = {schema.id_col, schema.time_col, schema.target_col, schema.holidays_col}
    used |= {*(schema.stat_exog or ()), *schema.hist_exog, *schema.futr_exog}
    unused = [name for name in frame.columns if name not in used]
    if unused:
        LOG.info("columns without a role are ignored: %s", some(unused, 20))
