"""What a job expects of its data, and what happens when they are otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pandas as pd

from forecast.batch.observed import Observed
from forecast.errors import ConfigError, DataError, Fault, some

KINDS = ("number", "integer", "text", "time", "truth", "any")
POLICIES = ("fail", "flag")
SHARES = ("completeness", "max_missing", "max_new", "max_vanished", "max_quarantined")
COUNTS = ("min_series", "max_staleness", "max_series_staleness")


@dataclass(frozen=True)
class Problem:
    """One breach of a contract: the ``rule`` (an argument of :class:`Contract`), where and what, and whether it
    stops the run."""

    rule: str
    fault: Fault
    fails: bool

    def __str__(self) -> str:
        return str(self.fault)


@dataclass(frozen=True)
class Contract:
    """What the data of every run must be like. Rules that are left out are not checked.

    A rule about a column, or about all series together, stops the run or flags it, as the policy says. A rule about
    a single series never stops the others: values out of range are taken for unknown and their series quarantined, a
    stale series is flagged.

    Attributes:
        columns: column -> ``number``, ``integer``, ``text``, ``time``, ``truth`` or ``any``: it must be there and of
            this kind. One that is not always stops the run.
        min_series: fewer series stop the run, or flag it.
        min_value, max_value: bounds of the target, both allowed.
        max_missing: largest share of unknown values among all.
        max_staleness: most steps that the newest value of all may be behind the newest that is due.
        max_series_staleness: the same for each series.
        ids: series that must have a value at the cutoff, the newest stamp of the data.
        completeness: the share of ``ids`` (without them: of the series of the run before, or of those there are) that
            must have one; 1 where ``ids`` are given. It catches data of which a part has not arrived.
        max_new, max_vanished: largest share of new or vanished series, counted against the run before.
        max_quarantined: largest share of quarantined series.
        on_incomplete: ``fail`` or ``flag``, for ``completeness`` and ``max_staleness``: a failed run is tried again
            by the next start, when the rest may have arrived.
        on_violation: ``fail`` or ``flag``, for the others.

    Raises ``ConfigError`` for values that make no sense.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    min_series: int = 1
    min_value: float | None = None
    max_value: float | None = None
    max_missing: float | None = None
    max_staleness: int | None = None
    max_series_staleness: int | None = None
    ids: tuple[Any, ...] | None = None
    completeness: float | None = None
    max_new: float | None = None
    max_vanished: float | None = None
    max_quarantined: float | None = None
    on_incomplete: str = "fail"
    on_violation: str = "fail"

    def __post_init__(self) -> None:
        if not isinstance(self.columns, Mapping) or not set(self.columns.values()) <= set(KINDS):
            raise ConfigError(f"columns={self.columns!r} must map names of columns to {', '.join(KINDS)}.")
        for name in ("on_incomplete", "on_violation"):
            if getattr(self, name) not in POLICIES:
                raise ConfigError(f"{name}={getattr(self, name)!r} is not one of {', '.join(POLICIES)}.")
        for name in (*SHARES, *COUNTS, "min_value", "max_value"):
            self._check_number(name)
        if self.ids is not None:
            if isinstance(self.ids, str) or not len(self.ids):
                raise ConfigError(f"ids={self.ids!r} must be a list of series.")
            object.__setattr__(self, "ids", tuple(self.ids))
        low, high = self.min_value, self.max_value
        if low is not None and high is not None and low > high:
            raise ConfigError(f"min_value={low:g} is above max_value={high:g}.")

    def _check_number(self, name: str) -> None:
        value = getattr(self, name)
        if value is None and name != "min_series":
            return
        number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and value == value
        if not number or (name in SHARES and not 0 <= value <= 1) or (name in COUNTS and (value < 0 or value % 1)):
            wanted = "a share from 0 to 1" if name in SHARES else "a whole number" if name in COUNTS else "a number"
            raise ConfigError(f"{name}={value!r}: {wanted} is needed.")

    def check_columns(self, frame: pd.DataFrame) -> None:
        """Raise ``DataError`` with every column that is not there or of another kind."""
        faults = []
        for name, kind in self.columns.items():
            count = list(frame.columns).count(name)
            if count != 1:
                problem = (
                    f"{count} columns have this name" if count else f"no such column among {some(frame.columns, 8)}"
                )
                faults.append(Fault(name, problem, "The contract asks for it: mend the source, or the contract."))
            elif not is_kind(frame[name], kind):
                problem = f"it has dtype {frame[name].dtype}, the contract asks for {kind}"
                faults.append(Fault(name, problem, "Convert it in the source, or change the contract."))
        if faults:
            raise DataError(faults)

    def problems(self, seen: Observed) -> tuple[Problem, ...]:
        """What breaks a rule, in the order of the rules; columns and values out of range are not among it."""
        found = [*self._counted(seen), *self._dated(seen), *self._complete(seen), *self._compared(seen)]
        order = {f.name: number for number, f in enumerate(fields(self))}
        return tuple(sorted(found, key=lambda problem: order[problem.rule]))

    def _problem(self, rule: str, column: str, problem: str, remedy: str, series: object = None) -> Problem:
        timely = rule in ("completeness", "max_staleness")
        policy = self.on_incomplete if timely else self.on_violation
        return Problem(rule, Fault(column, problem, remedy, series), policy == "fail" and series is None)

    def _counted(self, seen: Observed) -> Iterator[Problem]:
        schema = seen.panel.schema
        if len(seen.panel) < self.min_series:
            problem = f"{len(seen.panel)} series, the contract asks for {self.min_series} at least"
            yield self._problem("min_series", schema.id_col, problem, "See whether the source is complete.")
        if self.max_missing is not None and seen.missing_share > self.max_missing:
            problem = f"{seen.missing_share:.1%} of the values are unknown, {self.max_missing:.1%} are allowed"
            yield self._problem("max_missing", schema.target_col, problem, "See where the values went, or allow more.")
        share = seen.quarantined / max(len(seen.panel), 1)
        if self.max_quarantined is not None and share > self.max_quarantined:
            problem = f"{seen.quarantined} of {len(seen.panel)} series are quarantined"
            remedy = f"{self.max_quarantined:.1%} are allowed. Their faults say what to mend."
            yield self._problem("max_quarantined", schema.id_col, problem, remedy)

    def _dated(self, seen: Observed) -> Iterator[Problem]:
        column, due, behind = seen.panel.schema.time_col, seen.due, seen.behind
        if due is None or behind is None:
            return
        newest = int(behind.min()) if behind.size else 0
        late = f"steps behind {seen.text(due)}, which is due"
        if self.max_staleness is not None and newest > self.max_staleness:
            problem = f"the newest value of all, of {seen.text(due - newest)}, is {newest} {late}"
            remedy = f"{self.max_staleness} are allowed. See whether the data have arrived, and run again."
            yield self._problem("max_staleness", column, problem, remedy)
        if self.max_series_staleness is not None:
            ids = seen.panel.ids[seen.known_series]
            for at in np.flatnonzero(behind > self.max_series_staleness).tolist():
                problem = f"the newest value, of {seen.text(due - int(behind[at]))}, is {behind[at]} {late}"
                remedy = f"{self.max_series_staleness} are allowed. See whether the series has ended."
                yield self._problem("max_series_staleness", column, problem, remedy, ids[at])

    def _complete(self, seen: Observed) -> Iterator[Problem]:
        share = self.completeness if self.completeness is not None or self.ids is None else 1.0
        if share is None:
            return
        ids = seen.panel.ids
        expected = pd.Index(self.ids) if self.ids is not None else seen.previous
        absent = ids[~seen.arrived] if expected is None else expected[~expected.isin(ids[seen.arrived])]
        expected = ids if expected is None else expected
        there = len(expected) - len(absent)
        if there < share * len(expected):
            problem = f"{there} of {len(expected)} series have a value at {seen.text(seen.cutoff)}"
            remedy = f"{share:.1%} are asked for. Missing: {some(absent)}. Run again when they have arrived."
            yield self._problem("completeness", seen.panel.schema.target_col, problem, remedy)

    def _compared(self, seen: Observed) -> Iterator[Problem]:
        if seen.previous is None or not len(seen.previous):
            return
        gone, new = seen.turnover
        for rule, word, changed in (("max_new", "new", new), ("max_vanished", "gone", gone)):
            allowed = getattr(self, rule)
            if allowed is not None and len(changed) > allowed * len(seen.previous):
                problem = f"{len(changed)} series are {word} since the run before, which had {len(seen.previous)}"
                remedy = f"{allowed:.1%} are allowed. They are {some(changed)}. See whether ids were renamed."
                yield self._problem(rule, seen.panel.schema.id_col, problem, remedy)


def is_kind(column: pd.Series[Any], kind: str) -> bool:
    """Whether all known cells of a column are of a kind that a contract may name."""
    if kind == "any":
        return True
    letter = column.dtype.kind
    if letter in "OSTU":
        found = pd.api.types.infer_dtype(column, skipna=True)
        known = {
            "number": ("integer", "floating", "mixed-integer-float", "decimal"),
            "integer": ("integer",),
            "text": ("string",),
            "time": ("datetime", "datetime64", "date", "period"),
            "truth": ("boolean",),
        }
        return found == "empty" or found in known[kind]
    letters = {"number": "iuf", "integer": "iu", "text": "", "time": "M", "truth": "b"}
    return letter in letters[kind] or (kind == "time" and isinstance(column.dtype, pd.PeriodDtype))
