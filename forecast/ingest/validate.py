"""Checks of the rows of a frame: refuses, changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.aliases import Freq
from forecast.errors import Fault
from forecast.inference import infer_freq
from forecast.ingest.sorting import ordered
from forecast.panel.panel import Panel
from forecast.schema import Schema
from forecast.timeline import DAY, MICROSECONDS, SPARSEST, Stamps, Timeline, fit_timeline

Int = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Rows:
    """A frame's rows, sorted by series and time, with the position each had in the frame."""

    codes: Int  # (N,)
    stamps: Stamps  # (N,)
    values: Float  # (N,)
    row: Int  # (N,) position in the caller's frame
    ids: pd.Index
    elapsed: bool = False  # whether the stamps are in UTC because no wall clock of their zone fits them

    @property
    def same(self) -> Bool:
        """Whether each row but the first belongs to the series of the row before, (N - 1,)."""
        return np.asarray(self.codes[1:] == self.codes[:-1])


def sort_rows(codes: Int, stamps: Stamps, values: Float, ids: pd.Index) -> Rows:
    """Sort by series and time; frames that already are sorted are left alone."""
    same = codes[1:] == codes[:-1]
    already = bool(((codes[1:] > codes[:-1]) | (same & (stamps[1:] >= stamps[:-1]))).all())
    if already:
        return Rows(codes, stamps, values, np.arange(len(codes)), ids)
    order = ordered(codes, stamps)
    return Rows(order.codes, order.stamps, values[order.row], order.row, ids)


def per_series(rows: Rows, bad: Bool, column: str, problem: str, remedy: str) -> list[Fault]:
    """One fault for each series that has ``bad`` rows; ``{first}`` in ``problem`` becomes its first bad stamp."""
    places = np.flatnonzero(bad)
    if not places.size:
        return []
    codes = rows.codes[places]
    groups = np.split(places, np.flatnonzero(np.diff(codes)) + 1)
    return [
        Fault(
            column,
            problem.replace("{first}", str(rows.stamps[group[0]])),
            remedy,
            rows.ids[rows.codes[group[0]]],
            tuple(int(row) for row in rows.row[group]),
        )
        for group in groups
    ]


def duplicate_faults(rows: Rows, schema: Schema) -> list[Fault]:
    """Series with several rows of one time, when the policy is to raise."""
    if schema.duplicates != "raise":
        return []
    again = np.concatenate([[False], rows.same & (rows.stamps[1:] == rows.stamps[:-1])])
    bad = again | np.concatenate([again[1:], [False]])
    remedy = "Drop the repeats or pass duplicates='mean', 'sum', 'first' or 'last' to merge them."
    if _clock_went_back(rows, again):
        remedy = (
            "If the clock went back there, say in which zone: .dt.tz_localize('Europe/Berlin', ambiguous='infer') on "
            f"rows in their order. {remedy}"
        )
    return per_series(rows, bad, schema.time_col, "duplicate times (first {first})", remedy)


def _clock_went_back(rows: Rows, again: Bool) -> bool:
    """Whether all repeats look like the hour that a wall clock shows twice in autumn: early on one Sunday a year."""
    if rows.stamps.dtype.kind != "M" or rows.elapsed or not again.any():
        return False
    days = rows.stamps.astype("datetime64[D]")
    if (rows.stamps == days).all():
        return False  # daily rows
    when, sundays = rows.stamps[again], np.unique(days[again])
    early = (when - when.astype("datetime64[D]")).astype(np.int64) < 4 * MICROSECONDS["h"]
    once = np.unique(sundays.astype("datetime64[Y]")).size == sundays.size
    return bool(early.all()) and once and bool(((sundays.astype(np.int64) + 3) % 7 == 6).all())


def choose_timeline(rows: Rows, freq: Freq | None, tz: str | None, schema: Schema) -> Timeline | Fault:
    """The grid of the data: of ``freq`` where it is given, else inferred."""
    origin = rows.stamps[:1]
    if freq is not None:
        return fit_timeline(freq, origin, tz)
    inferred = infer_freq(rows.stamps, rows.codes, rows.elapsed)
    if inferred is not None:
        return fit_timeline(inferred, origin, tz)
    return Fault(schema.time_col, f"no regular frequency fits the times ({_steps_seen(rows)})", _irregular_remedy(rows))


def _irregular_remedy(rows: Rows) -> str:
    general = "Pass freq='…' ('h', 'D', 'W-SUN', 'MS' …, or an int step), or number the rows with integers."
    if rows.stamps.dtype.kind != "M" or not rows.same.any():
        return general
    if rows.elapsed:
        return f"If these are days elsewhere, use .dt.tz_convert('UTC') or the zone they are days of. {general}"
    steps = (rows.stamps[1:] - rows.stamps[:-1])[rows.same].astype(np.int64)
    if (steps % DAY == 0).all() and (steps == DAY).any():
        return (
            "For trading days with holidays use freq='B', whose gaps are unknown values, or "
            f"forecast.CustomBusiness(holidays=[…]). Else: {general}"
        )
    return general


def _steps_seen(rows: Rows) -> str:
    if not rows.same.any():
        return "every series has one row only"
    steps = (rows.stamps[1:] - rows.stamps[:-1])[rows.same]
    values, counts = np.unique(steps, return_counts=True)
    order = np.argsort(-counts)[:3]
    seen = ", ".join(
        f"{pd.Timedelta(values[i]) if steps.dtype.kind == 'm' else values[i]} × {counts[i]}" for i in order
    )
    return f"commonest steps: {seen}"


def history_faults(rows: Rows, tz: str | None, history: Panel) -> list[Fault]:
    """Rows that cannot be counted on the grid of ``history``: of another kind of time, zone or phase."""
    grid, column = history.timeline, history.schema.time_col
    dates = rows.stamps.dtype.kind == "M"
    first = rows.stamps[0]
    if dates == (grid.kind == "step"):
        kinds = ("dates", "integers") if dates else ("integers", "dates")
        problem = f"the new rows are numbered by {kinds[0]} (first {first}), the history by {kinds[1]}"
        return [Fault(column, problem, f"Give {kinds[1]} on its grid of freq={grid.freq!r}, or fit again.")]
    if tz != grid.tz:
        remedy = f"Use {f'.dt.tz_convert({grid.tz!r})' if tz else f'.dt.tz_localize({grid.tz!r})'}, or fit again."
        if grid.tz is None:
            remedy = "Use .dt.tz_localize(None), or fit again."
        return [Fault(column, f"{zone_problem(tz, grid.tz)} (freq={grid.freq!r}, first new time {first})", remedy)]
    _, exact = grid.ordinals(rows.stamps)
    anchor = grid.stamps(history.last[:1])[0]
    problem = f"times off the grid of freq={grid.freq!r} through {anchor}, the history's (first {{first}})"
    return per_series(rows, ~exact, column, problem, "Shift or resample the new rows onto it, or fit again.")


def zone_problem(new: str | None, old: str | None) -> str:
    """What to say about new times that are not in the time zone of the history."""
    one, two = (f"in time zone {zone}" if zone else "without a time zone" for zone in (new, old))
    return f"the new times are {one}, the history is {two}"


def grid_faults(rows: Rows, timeline: Timeline, schema: Schema) -> list[Fault]:
    """Stamps off the grid, a grid finer than the data, and stamps absurdly far from the others."""
    ordinals, exact = timeline.ordinals(rows.stamps)
    column = schema.time_col
    if not exact.all():
        problem = f"times off the grid of freq={timeline.freq!r} (first {{first}})"
        return per_series(rows, ~exact, column, problem, freq_remedy(rows, timeline))
    coarse = coarse_faults(rows, ordinals, timeline, schema)
    common = _common_gap(rows, ordinals, bool(coarse))
    if common > 1:
        problem = f"the rows are {common} steps of freq={timeline.freq!r} apart"
        return [Fault(column, problem, freq_remedy(rows, timeline))]
    return [*coarse, *jump_faults(rows, ordinals, timeline, schema)]


def _common_gap(rows: Rows, ordinals: Int, coarse: bool) -> int:
    """The steps between most rows of a series; 0 for none, or where some are ``coarse`` and others step by one."""
    steps = np.diff(ordinals)
    taken = rows.same & (steps > 0)
    many, single = int(taken.sum()), int((taken & (steps == 1)).sum())
    if many < 2 or 2 * single >= many or (coarse and single):  # some series are of this frequency
        return 0
    return commonest(steps[taken])


def freq_remedy(rows: Rows, timeline: Timeline) -> str:
    """What to do about a frequency that does not fit; looks the right one up, so only once something is wrong."""
    hint = infer_freq(rows.stamps, rows.codes, rows.elapsed)
    if hint is not None:
        return f"The data look like freq={hint!r}."
    if timeline.tz is not None and timeline.kind == "tick" and timeline.step % DAY == 0:
        return (
            "freq='D' counts days on the clock of the zone, freq='24h' elapsed hours: pass the other, mend the data, "
            "or use .dt.tz_convert on the zone they are days of."
        )
    return "Pass the freq of the data, or mend them."


def commonest(steps: Int) -> int:
    """The step that makes up more than half of ``steps``, else 0."""
    values, counts = np.unique(steps, return_counts=True)
    return int(values[counts.argmax()]) if counts.max() * 2 > steps.size else 0


def coarse_faults(rows: Rows, ordinals: Int, timeline: Timeline, schema: Schema) -> list[Fault]:
    """Series of a coarser frequency than the grid, which would be mostly gaps on it."""
    steps = np.diff(ordinals)
    taken = rows.same & (steps > 0)
    if not (taken & (steps > 1)).any():
        return []
    steps, codes = steps[taken], rows.codes[1:][taken]
    total = np.bincount(codes, minlength=len(rows.ids))
    single = np.bincount(codes[steps == 1], minlength=len(rows.ids))
    # A series that steps by one now and then is of this frequency, with many gaps.
    suspects = np.flatnonzero((total >= 2) & (single * 10 <= total))
    if not suspects.size:
        return []
    remedy = "Fit one Forecaster for each frequency (freq='each' does), or resample all series to one."
    bounds = np.searchsorted(codes, [suspects, suspects + 1])
    faults = []
    for code, start, stop in zip(suspects.tolist(), *bounds.tolist(), strict=True):
        common = commonest(steps[start:stop])
        if common > 1:
            problem = f"the rows are {common} steps apart on the grid of freq={timeline.freq!r} of the other series"
            faults.append(Fault(schema.time_col, problem, remedy, rows.ids[code]))
    return faults


def jump_faults(rows: Rows, ordinals: Int, timeline: Timeline, schema: Schema) -> list[Fault]:
    """Stamps absurdly far from the others of their series."""
    lengths = np.bincount(rows.codes, minlength=len(rows.ids))
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    span = ordinals[starts + lengths - 1] - ordinals[starts] + 1
    sparse = span > SPARSEST * np.maximum(lengths, 20)
    jumps = np.concatenate([[False], rows.same & (np.diff(ordinals) > SPARSEST)]) & sparse[rows.codes]
    problem = f"a jump of more than {SPARSEST} steps of freq={timeline.freq!r} to {{first}}"
    return per_series(rows, jumps, schema.time_col, problem, "Mend the wrong stamp, or split the series there.")


def value_faults(rows: Rows, schema: Schema, begun: Bool) -> list[Fault]:
    """Series without a single known value, and missing values when the policy is to raise.

    ``begun`` (S,) tells the series that have a history already: news of them may be that nothing is known.
    """
    missing = np.isnan(rows.values)
    known = np.bincount(rows.codes[~missing], minlength=len(rows.ids))
    empty = ((known == 0) & ~begun)[rows.codes]
    remedy = "Drop the series or pass on_bad_series='skip' or 'fallback'."
    faults = per_series(rows, empty, schema.target_col, "no known value at all", remedy)
    if schema.missing == "raise":
        remedy = "Fill them in or pass missing='mask', 'ffill', 'interpolate', 'zero' or 'seasonal'."
        faults += per_series(rows, missing & ~empty, schema.target_col, "missing values (first {first})", remedy)
    return faults


def gap_faults(rows: Rows, timeline: Timeline, schema: Schema) -> list[Fault]:
    """Rows missing from the grid, when the policy is to raise."""
    if schema.missing != "raise":
        return []
    ordinals, _ = timeline.ordinals(rows.stamps)
    after = np.concatenate([[False], rows.same & (np.diff(ordinals) > 1)])
    remedy = "Add the rows or pass missing='mask', 'ffill', 'interpolate', 'zero' or 'seasonal'."
    return per_series(rows, after, schema.time_col, "rows are missing before {first}", remedy)


def with_series(faults: tuple[Fault, ...], codes: Int, ids: pd.Index) -> list[Fault]:
    """Faults of a column split by series, so that each names the series its rows belong to."""
    split = []
    for fault in faults:
        if not fault.rows or fault.series is not None:
            split.append(fault)
            continue
        rows = np.array(fault.rows)
        rows = rows[np.argsort(codes[rows], kind="stable")]
        for own in np.split(rows, np.flatnonzero(np.diff(codes[rows])) + 1):
            code = codes[own[0]]
            name = ids[code] if code >= 0 else None
            split.append(Fault(fault.column, fault.problem, fault.remedy, name, tuple(own.tolist())))
    return split
