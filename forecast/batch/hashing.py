"""One number for a table: equal for equal rows in any order, different as soon as anything that counts differs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import DataError, Fault
from forecast.ingest.columns import number
from forecast.ingest.times import time_column
from forecast.schema import Schema

Words = npt.NDArray[np.uint64]
LANES = 2  # two independent 64-bit sums
ROWS = 1 << 17  # worked on at a time, so that they stay in the processor's cache
VERSION = 1
# Odd constants: the golden ratio's and those of SplitMix64, Steele, Lea and Flood 2014, "Fast splittable pseudorandom
# number generators", OOPSLA.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
MISSING = 0x7FF8000000000000  # the bits of a NaN: every missing cell hashes like this


@dataclass(frozen=True)
class RowSums:
    """The hash of a table before its last step: of two stretches of rows it is the sum of theirs.

    Attributes:
        kinds: of each column its role, or name, and what it holds; stretches of different kinds have no sum.
        rows: how many there are.
        lanes: the sums over rows, modulo 2**64.
    """

    kinds: tuple[tuple[str, str], ...]
    rows: int
    lanes: tuple[int, ...]

    def __add__(self, other: RowSums) -> RowSums:
        if self.kinds != other.kinds:
            raise ValueError(f"columns of other kinds: {self.kinds} and {other.kinds}")
        lanes = tuple((one + two) % 2**64 for one, two in zip(self.lanes, other.lanes, strict=True))
        return RowSums(self.kinds, self.rows + other.rows, lanes)

    @property
    def digest(self) -> str:
        """64 hexadecimal digits."""
        digest = hashlib.sha256(json.dumps([VERSION, self.kinds, self.rows]).encode())
        digest.update(np.array(self.lanes, dtype="<u8").tobytes())
        return digest.hexdigest()

    def facts(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"kinds": [list(kind) for kind in self.kinds], "rows": self.rows, "lanes": list(map(str, self.lanes))}

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> RowSums:
        """What :meth:`facts` told."""
        kinds = tuple((str(name), str(kind)) for name, kind in facts["kinds"])
        return cls(kinds, int(facts["rows"]), tuple(map(int, facts["lanes"])))


@dataclass(frozen=True)
class _Part:
    """The words of a column: one for each row, (N,) or, for each lane another, (N, 2); or in a table by ``codes``."""

    words: Words
    codes: npt.NDArray[np.intp] | None = None

    def chunk(self, rows: slice = slice(None)) -> Words:
        return self.words[rows] if self.codes is None else self.words[self.codes[rows]]


def data_hash(frame: pd.DataFrame, schema: Schema | None = None, columns: Sequence[str] = ()) -> str:
    """The hash of a long frame: 64 hexadecimal digits.

    Series, times and target count, the covariates that the schema names, and ``columns`` besides: no others. The
    order of rows and of columns and the row index make no difference, nor does the width of a number's type; any
    other value, a row more or less (doubled ones too), a stamp, a time zone, an id as text instead of a number do.
    -0.0 is 0.0; every missing cell (NaN, None, NA, NaT) is the same; text that is no number, or no date, counts as it
    stands. Not for use against somebody who looks for collisions.

    Raises ``DataError`` when a column is not there.
    """
    return row_sums(frame, schema, columns).digest


def row_sums(frame: pd.DataFrame, schema: Schema | None = None, columns: Sequence[str] = ()) -> RowSums:
    """What :func:`data_hash` is made of: to be carried on when rows are added."""
    schema = schema or Schema()
    roles = [schema.id_col] if schema.id_col in frame.columns else []
    exogenous = (*(schema.stat_exog or ()), *schema.hist_exog, *schema.futr_exog)
    features = [name for name in exogenous if name in frame.columns]
    others = dict.fromkeys([*features, *columns])
    return _summed(frame, schema, [*roles, schema.time_col, schema.target_col, *sorted(others)])


def table_hash(frame: pd.DataFrame, columns: Sequence[str] | None = None) -> str:
    """The hash of the rows of any table, static features for example, like :func:`data_hash`."""
    return _summed(frame, None, sorted(frame.columns if columns is None else columns)).digest


def _summed(frame: pd.DataFrame, schema: Schema | None, names: Sequence[str]) -> RowSums:
    parts, kinds = [], []
    for name in names:
        count = list(frame.columns).count(name)
        if count != 1:
            problem = f"{count} columns have this name" if count else "no such column"
            raise DataError(Fault(name, problem, "Rename it, or say what the column is called."))
        kind, part = _part(frame[name], _role(name, schema))
        # Roles are told apart by their place, other columns by their names: renaming the id column changes nothing.
        kinds.append((_role(name, schema) or name, kind))
        parts.append(part)
    return RowSums(tuple(kinds), len(frame), tuple(_sums(parts, len(frame))))


def _role(name: str, schema: Schema | None) -> str:
    roles = {} if schema is None else {schema.id_col: "#id", schema.time_col: "#time", schema.target_col: "#target"}
    return roles.get(name, "")


def _sums(parts: Sequence[_Part], rows: int) -> list[int]:
    """The sum over rows, modulo 2**64, of a hash of each row; for each lane.

    Within a row the words of the columns are chained: for given other words, different words give different hashes,
    because every step can be undone. So a single changed cell changes the sum for certain.
    """
    totals = [0] * LANES
    for start in range(0, rows, ROWS):
        chunks = [part.chunk(slice(start, start + ROWS)) for part in parts]
        for lane in range(LANES):
            mixed = np.full(min(ROWS, rows - start), lane + 1, dtype=np.uint64)
            for words in chunks:
                mixed ^= _mixed(words if words.ndim == 1 else words[:, lane])
                mixed = _mixed(mixed)
            totals[lane] = (totals[lane] + int(mixed.sum())) % 2**64
    return totals


def _mixed(words: Words) -> Words:
    """SplitMix64's finish: a one-to-one map that sends neighbours far apart."""
    z = words + GOLDEN
    z ^= z >> np.uint64(30)
    z *= FIRST
    z ^= z >> np.uint64(27)
    z *= SECOND
    z ^= z >> np.uint64(31)
    return z


def _part(column: pd.Series[Any], role: str) -> tuple[str, _Part]:
    """What kind of values a column holds, and its words."""
    dtype = column.dtype
    if role == "#time" or (role != "#id" and dtype.kind == "M"):
        return _times(column)
    if role != "#id" and dtype.kind in "biuf" and not isinstance(dtype, pd.SparseDtype):
        kind = "truth" if dtype.kind == "b" and role != "#target" else "number"
        return kind, _Part(_floats(column.to_numpy(dtype=np.float64, na_value=np.nan)))
    if role == "#target" and dtype.kind == "O" and not isinstance(dtype, pd.StringDtype):
        return "number", _Part(_cells(column))
    return "typed", _typed(column)


def _floats(values: npt.NDArray[np.float64]) -> Words:
    bits = (values + 0.0).view(np.uint64)  # adding makes 0.0 of -0.0
    missing = np.isnan(values)
    if missing.any():
        bits[missing] = MISSING
    return bits


def _times(column: pd.Series[Any]) -> tuple[str, _Part]:
    times, tz = time_column(column)
    if times.values is None:
        return "unread", _typed(column.astype(object))
    words: Words = times.values.astype(np.int64).view(np.uint64)
    kind = "date" if times.values.dtype.kind == "M" else "integer"
    rows = np.array(sorted({row for fault in times.faults for row in fault.rows}), dtype=np.int64)
    if rows.size:
        words = np.repeat(words[:, None], LANES, axis=1)
        words[rows] = _typed(column.iloc[rows].astype(object)).chunk()
    return f"{kind} {tz or ''}", _Part(words)


def _cells(column: pd.Series[Any]) -> Words:
    """Objects: numbers as numbers, the rest as it is written."""
    read = [number(cell) for cell in column]
    words = _floats(np.array([np.nan if value is None else value for value in read], dtype=np.float64))
    rows = np.flatnonzero([value is None for value in read])
    if not rows.size:
        return words
    words = np.repeat(words[:, None], LANES, axis=1)
    words[rows] = _typed(column.iloc[rows].map(repr)).chunk()
    return words


def _typed(column: pd.Series[Any]) -> _Part:
    """Words from the distinct values, which carry their types: 1, 1.0 and "1" differ."""
    try:
        codes, uniques = pd.factorize(column)
    except (TypeError, NotImplementedError):  # lists and the like; the latter from Arrow
        codes, uniques = pd.factorize(column.map(repr))
    values = uniques.tolist() if isinstance(column.dtype, pd.StringDtype) else uniques  # quicker, and text either way
    digests = b"".join(hashlib.blake2b(_named(value), digest_size=8 * LANES).digest() for value in values)
    words = np.frombuffer(digests, dtype="<u8").astype(np.uint64).reshape(-1, LANES)
    blank = np.full((1, LANES), MISSING, dtype=np.uint64)  # for code -1
    return _Part(np.concatenate([words, blank]), codes)


def _named(value: object) -> bytes:
    if isinstance(value, str):
        return b"s" + value.encode("utf-8", "surrogatepass")
    if isinstance(value, (bool, np.bool_)):
        return b"b1" if value else b"b0"
    if isinstance(value, (int, np.integer)):
        return b"i%d" % int(value)
    if isinstance(value, (float, np.floating)):
        return b"f" + (float(value) + 0.0).hex().encode()
    if isinstance(value, bytes):
        return b"y" + value
    return f"o{type(value).__name__}:{value!r}".encode("utf-8", "surrogatepass")
