"""Rows to forecast after, read as those were that models were fitted on."""

from __future__ import annotations

from typing import Any

from forecast.errors import DataError, Fault
from forecast.ingest.door import Reading, read_panel
from forecast.ingest.terms import Terms
from forecast.ingest.validate import zone_problem
from forecast.panel.panel import Panel
from forecast.schema import Schema


def read_like(df: Any, schema: Schema, history: Panel, static: Any = None) -> Reading:
    """What :func:`~forecast.ingest.door.read_panel` reads, of the frequency, id type and kind of time of ``history``.

    Raises ``DataError`` for another id type, and where one of the two has a time zone and the other has none.
    """
    reading = read_panel(df, Terms(schema, history.timeline.freq, history), static)
    check_ids(reading.panel, history)
    new, old = reading.panel.timeline.tz, history.timeline.tz
    if (new is None) != (old is None):
        remedy = f"Use .dt.tz_localize({old!r}), or fit again on times of this kind."
        raise DataError(Fault(schema.time_col, zone_problem(new, old), remedy))
    return reading


def check_ids(panel: Panel, history: Panel) -> None:
    """Raise ``DataError`` where the ids of ``panel`` are of another type than those of ``history``."""
    fitted, given = (index.inferred_type for index in (history.ids, panel.ids))
    if fitted != given:
        problem = f"ids were {fitted} when fitting and are {given} now"
        raise DataError(Fault(panel.schema.id_col, problem, "Convert them to the type used in fit."))
