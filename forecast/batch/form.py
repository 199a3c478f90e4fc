"""The columns of a job's forecasts and their types, the same in every sink."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from forecast.errors import StorageError, printable, some

KEYS = ("unique_id", "cutoff", "ds", "step", "model")
NOTES = ("source", "reason")
COMPLETE = ("unique_id", "cutoff", "ds", "step")  # what no row may lack


@dataclass(frozen=True)
class Form:
    """What a forecast frame of a job looks like.

    One row for each series and step: ``unique_id``, ``cutoff`` (last row used of this series), ``ds``, ``step`` (1 to
    h), ``model`` (the job's model), the numbers named by ``outputs`` (``mean`` first, then ``lo-80``, ``hi-80``,
    ``q-0.1`` …), ``source`` (which model made the row) and ``reason`` (why not the job's own; empty otherwise).

    Attributes:
        ids: whether ids are integers or text.
        times: integer steps, stamps without a zone, or stamps with one.
        zone: the zone of aware stamps, else ``None``.
        outputs: names of the number columns.
    """

    ids: Literal["integer", "text"]
    times: Literal["integer", "naive", "aware"]
    zone: str | None
    outputs: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns in their order."""
        return (*KEYS, *self.outputs, *NOTES)

    @classmethod
    def of(cls, ids: pd.Index, stamps: pd.Index, outputs: Sequence[str]) -> Form:
        """The form for series ``ids`` with times like ``stamps``."""
        whole = pd.api.types.is_integer_dtype(ids.dtype)
        if isinstance(stamps, pd.DatetimeIndex):
            zone = None if stamps.tz is None else str(stamps.tz)
            return cls("integer" if whole else "text", "naive" if zone is None else "aware", zone, tuple(outputs))
        return cls("integer" if whole else "text", "integer", None, tuple(outputs))

    def conform(self, frame: pd.DataFrame) -> pd.DataFrame:
        """``frame`` with exactly these columns and types; stamps in microseconds.

        Raises ``StorageError`` for a column that is missing or too many, and for a key or a whole number without a
        value or that is none, naming the row (0-based) of ``frame``.
        """
        missing = [name for name in self.columns if name not in frame.columns]
        extra = [name for name in frame.columns if name not in self.columns]
        if missing or extra:
            problem = f"lacks {some(missing)}" if missing else f"has {some(extra)} besides"
            raise StorageError(f"The table of forecasts {problem}; expected are {', '.join(self.columns)}.")
        _check_complete(frame)
        typed = {name: self._typed(frame[name], name) for name in self.columns}
        return pd.DataFrame(typed, copy=False).reset_index(drop=True)

    def _typed(self, column: pd.Series[Any], name: str) -> pd.Series[Any]:
        if name == "unique_id":
            return _whole(column, name) if self.ids == "integer" else column.astype("str")
        if name in ("cutoff", "ds"):
            return _whole(column, name) if self.times == "integer" else self._stamps(column)
        if name == "step":
            return _whole(column, name)
        return column.astype("str") if name == "model" or name in NOTES else column.astype(np.float64)

    def _stamps(self, column: pd.Series[Any]) -> pd.Series[Any]:
        if self.times == "naive":
            return column.astype("datetime64[us]")
        if isinstance(column.dtype, pd.DatetimeTZDtype):
            aware: pd.Series[Any] = column.dt.tz_convert(self.zone).astype(f"datetime64[us, {self.zone}]")
            return aware
        return column.astype("datetime64[us]").dt.tz_localize("UTC").dt.tz_convert(self.zone)

    def facts(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "outputs": list(self.outputs)}

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> Form:
        """What :meth:`facts` told."""
        return cls(facts["ids"], facts["times"], facts["zone"], tuple(facts["outputs"]))


def _check_complete(frame: pd.DataFrame) -> None:
    """Every row says which series, time and step it is of."""
    empty = {name: frame[name].isna().to_numpy() for name in COMPLETE}
    problems = [
        f"{name}: nothing in row {int(cells.argmax())} of the forecasts" for name, cells in empty.items() if cells.any()
    ]
    if problems:
        raise StorageError(f"{'; '.join(problems)}. Each row needs one.")


def _whole(column: pd.Series[Any], name: str) -> pd.Series[Any]:
    """The column in 64-bit integers, exactly, or ``StorageError``."""
    numbers = pd.to_numeric(column, errors="coerce")
    if pd.api.types.is_signed_integer_dtype(numbers.dtype):
        return numbers.astype(np.int64)
    whole = (numbers % 1 == 0) & (numbers >= -(2.0**63)) & (numbers < 2.0**63)
    if not whole.all():
        row = int((~whole.to_numpy(dtype=bool)).argmax())
        raise StorageError(
            f"{name}: {printable(column.tolist()[row])} in row {row} of the forecasts is no whole number of 64 bits, "
            f"which {name} is in this job. Publish other kinds of {name} under another job name."
        )
    return numbers.astype(np.int64)
