"""New rows put after the rows of the run before, where that gives exactly what reading all of them would.

Whatever could be judged in another way with all rows at hand (a fault, a late row, another type) is refused with a
reason, and the run reads everything.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.batch.hashing import RowSums, row_sums
from forecast.batch.known import Arrival
from forecast.batch.marks import Dtypes, Mark, Reading
from forecast.batch.snapshot import IDS, Snapshot
from forecast.batch.steps import Steps
from forecast.errors import DataError, Fault, some
from forecast.ingest.columns import id_column, target_column
from forecast.ingest.normalize import lay_out, merge_duplicates, trim_leading
from forecast.ingest.times import time_column
from forecast.ingest.validate import Rows, duplicate_faults, sort_rows, value_faults
from forecast.panel.append import append
from forecast.panel.panel import Panel
from forecast.schema import Schema
from forecast.timeline import SPARSEST

if TYPE_CHECKING:
    from forecast.batch.contract import Contract
    from forecast.batch.job import Job
    from forecast.batch.quarantine import Inspection

Int = npt.NDArray[np.int64]
NUMBERS = ("int64", "float64")  # the target is read as float64 from both
KINDS = ("tick", "business")  # grids that are known from any stamp on them


class RefusedError(Exception):
    """Why new rows cannot be put after the old ones unseen."""


def why_not(job: Job) -> str:
    """Why the rows of ``job`` have to be read together; empty where they need not."""
    schema = job.schema
    if job.known_col is not None:
        return "known_col: the latest version of a row may be of any age"
    if schema.hist_exog or schema.futr_exog or job.future is not None or (schema.stat_exog and job.static is None):
        return "covariates are read with the rows"
    return ""


def snapshot_of(inspection: Inspection, mark: Mark, sums: RowSums, job: Job) -> Snapshot:
    """What to keep of rows that were all read and known. Raises :class:`RefusedError` where that is of no use."""
    panel, steps = inspection.panel, inspection.steps
    why = why_not(job)
    if not why and inspection.quarantined:
        why = f"{len(inspection.quarantined)} series are quarantined: {some(inspection.quarantined)}"
    elif not why and (steps is None or not _plain(mark.dtypes, job) or str(panel.ids.dtype) not in IDS):
        why = "not all columns are of a plain type, or rows have no id"
    elif not why and (panel.timeline.kind not in KINDS or not isinstance(panel.timeline.freq, str)):
        why = f"the grid of freq={panel.timeline.freq!r} depends on all rows"
    if why or steps is None:
        raise RefusedError(why)
    return Snapshot(replace(panel, static=None), steps, sums, mark)


def grown(snapshot: Snapshot, reading: Reading, job: Job, slot: datetime) -> Snapshot:
    """``snapshot`` with the rows of ``reading``, which came after it. Raises :class:`RefusedError`."""
    frame, schema = reading.frame, job.schema
    if not len(frame):
        return replace(snapshot, mark=replace(reading.mark, dtypes=snapshot.mark.dtypes))
    dtypes = _common(snapshot.mark.dtypes, reading.mark.dtypes, job)
    try:
        job.contract.check_columns(frame)
        rows = _rows(frame, job, slot, snapshot.panel)
        sums = snapshot.sums + row_sums(frame, schema)
        steps = _checked_steps(snapshot, rows)
        more = lay_out(_merged(rows, schema, job.contract, snapshot.panel), snapshot.panel.timeline, schema)
        panel = append(snapshot.panel, more)
    except (DataError, ValueError) as error:
        raise RefusedError(f"with the new rows not all is well: {error}") from error
    return Snapshot(panel, steps, sums, replace(reading.mark, dtypes=dtypes), base=snapshot.base)


def _plain(dtypes: Dtypes, job: Job) -> bool:
    """Whether the columns that count have types that tell everything about their values."""
    schema = job.schema
    roles = {schema.id_col, schema.time_col, schema.target_col}
    read = {name: dtype for name, _, dtype in dtypes}
    if (
        len(read) < len(dtypes)
        or not roles <= set(read)
        or "object" in (read.get(name) for name in job.contract.columns)
    ):
        return False
    dated = read[schema.time_col].startswith("datetime64")
    return dated and read[schema.id_col] in IDS and read[schema.target_col] in NUMBERS


def _common(old: Dtypes, new: Dtypes, job: Job) -> Dtypes:
    """The types of all rows together. Raises :class:`RefusedError` where the new ones are of another kind."""
    counting = {job.schema.id_col, job.schema.time_col, *job.contract.columns}
    others = {name: (raw, read) for name, raw, read in new}
    types = []
    for name, raw, read in old:
        if name == job.schema.target_col and {read, others[name][1]} <= set(NUMBERS):
            raw = read = "float64" if "float64" in (read, others[name][1]) else "int64"
        elif name in counting | {job.schema.target_col} and others[name] != (raw, read):
            raise RefusedError(f"{name} is {others[name][1]} in the new rows and {read} in the old ones")
        types.append((name, raw, read))
    return tuple(types)


def _rows(frame: pd.DataFrame, job: Job, slot: datetime, panel: Panel) -> Rows:
    """The rows, sorted, on the clock of the panel's grid. Raises :class:`RefusedError` for any that is not plain."""
    schema, grid = job.schema, panel.timeline
    codes, ids, nameless = id_column(frame, schema.id_col)
    times, tz = time_column(frame[schema.time_col], job.freq)
    target = target_column(frame[schema.target_col])
    _refuse([*nameless, *times.faults, *target.faults])
    if times.notes or target.notes or tz != grid.tz or ids.dtype != panel.ids.dtype:
        raise RefusedError("the new rows are of another type")
    if not Arrival(job.freq, slot, job.zone, job.delay).known(times.values, tz).all():
        raise RefusedError("not all of the new rows were known")
    rows = sort_rows(codes, times.values, target.values, ids)
    if tz is not None and grid.local:
        wall = pd.DatetimeIndex(rows.stamps).tz_localize("UTC").tz_convert(tz).tz_localize(None)
        rows = replace(rows, stamps=wall.to_numpy().astype("datetime64[us]"))
    if not grid.ordinals(rows.stamps)[1].all():
        raise RefusedError("not all of the new rows lie on the grid")
    return rows


def _merged(rows: Rows, schema: Schema, contract: Contract, panel: Panel) -> Rows:
    """One row for each series and time, each fit to be used as it is."""
    low, high = contract.min_value, contract.max_value
    if (low is not None and (rows.values < low).any()) or (high is not None and (rows.values > high).any()):
        raise RefusedError("values are out of the contract's range")
    begun = panel.ids.get_indexer(rows.ids) >= 0
    _refuse([*duplicate_faults(rows, schema), *value_faults(rows, schema, begun)])
    return trim_leading(merge_duplicates(rows, schema.duplicates), begun)


def _checked_steps(snapshot: Snapshot, rows: Rows) -> Steps:
    """How far apart the rows are now. Raises :class:`RefusedError` for late rows and for too many gaps."""
    panel = snapshot.panel
    place = panel.ids.get_indexer(rows.ids).astype(np.int64)
    known = place >= 0
    ordinals = panel.timeline.ordinals(rows.stamps)[0]
    counts = np.bincount(rows.codes, minlength=len(rows.ids))
    ends = np.cumsum(counts)
    first, last = ordinals[ends - counts], ordinals[ends - 1]
    joint = np.where(known, first - panel.last[place], 0)
    late = np.flatnonzero(known & (joint <= 0))
    if late.size:
        raise RefusedError(f"rows are late, or were there before: of {some(rows.ids[late])}")
    more = Steps.of(rows, ordinals)
    if panel.schema.missing == "raise" and max(joint.max(), more.widest.max()) > 1:
        raise RefusedError("rows are missing")
    place = np.where(known, place, len(panel) + np.cumsum(~known) - 1)
    steps = snapshot.steps.with_more(more, place, joint)
    taken, single = steps.taken[place], steps.single[place]
    skips = ~known | (more.taken > more.single) | (joint > 1)  # single steps alone make no series coarser
    coarse = skips & (taken >= 2) & (single * 10 <= taken)
    torn = (steps.widest[place] > SPARSEST) & (
        last - steps.begin[place] + 1 > SPARSEST * np.maximum(steps.rows[place], 20)
    )
    if coarse.any() or torn.any() or (steps.taken.sum() > 1 and 2 * steps.single.sum() <= steps.taken.sum()):
        raise RefusedError("with the new rows a series has too many gaps")
    return steps


def _refuse(faults: list[Fault]) -> None:
    if faults:
        raise RefusedError(str(faults[0]))
