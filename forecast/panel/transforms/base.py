"""What every transform is: a frozen dataclass of plain values, which learns a few numbers of each series."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from forecast.errors import ConfigError, DataError, Fault, printable
from forecast.panel.panel import Panel

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

LARGEST = 1e300  # nothing comes back from a transform any larger, so that sums of forecasts stay finite


@dataclass(frozen=True)
class Transform(ABC):
    """A transform before fitting; every field is a plain value, so that it can stand in yaml and JSON."""

    name: ClassVar[str]

    @abstractmethod
    def fit(self, panel: Panel) -> Fitted:
        """Learn what the rows of each series of ``panel`` teach; a series without a known one has NaN for it.

        Raises ``DataError`` naming series and row of values that it cannot take.
        """

    def ready(self, season_length: int) -> Transform:
        """The same with what it takes from the task filled in."""
        return self

    def facts(self) -> dict[str, Any]:
        """The transform as plain values: its name and what it was constructed with."""
        return {"name": self.name, **{f.name: getattr(self, f.name) for f in fields(self)}}

    def restored(self, tables: Mapping[str, npt.NDArray[Any]], panel: Panel, count: int) -> Fitted:
        """What :meth:`fit` gave, from the arrays of its :meth:`Fitted.tables`, for ``count`` series.

        Raises ``ConfigError`` for arrays that it cannot have given. ``panel`` has at least one series.
        """
        none = np.zeros(len(panel), dtype=np.int64)
        blank = self.fit(panel.head(none).take(np.zeros(count, dtype=np.int64)))
        wanted = {key: (value.shape, value.dtype) for key, value in blank.tables().items()}
        given = {key: (value.shape, value.dtype) for key, value in tables.items()}
        if wanted != given:
            raise ConfigError(f"{self.name}: arrays {given} in place of {wanted}")
        fitted = blank.with_tables(tables)
        if not fitted.sound():
            raise ConfigError(f"{self.name}: parameters out of range")
        return fitted


@dataclass(frozen=True)
class Fitted(ABC):
    """A transform with what it learned: every array among its fields has one row for each series."""

    # What stands in for NaN in each table: the number of a series that taught nothing.
    NEUTRAL: ClassVar[Mapping[str, float]] = {}

    @abstractmethod
    def forward(self, panel: Panel) -> Panel:
        """The panel, of as many series, transformed; NaN stays NaN. Raises ``DataError`` for values it cannot take."""

    @abstractmethod
    def inverse(self, values: Float, panel: Panel) -> Float:
        """Forecasts (S, h, …) of the transformed series in the units of ``panel``, which is what was transformed."""

    def carry(self, point: Float, quantiles: Float, panel: Panel) -> tuple[Float, Float]:
        """The point forecast (S, h), the median, and quantiles (S, h, Q) in the units of ``panel``.

        What is monotone carries every quantile through as it is.
        """
        return self.inverse(point, panel), self.inverse(quantiles, panel)

    def tables(self) -> dict[str, Float]:
        """The arrays by name, each with one row for each series."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {key: value for key, value in values.items() if isinstance(value, np.ndarray)}

    def with_tables(self, tables: Mapping[str, npt.NDArray[Any]]) -> Self:
        """The same with other arrays."""
        return replace(self, **{key: np.array(value) for key, value in tables.items()})

    def known(self, count: int) -> Bool:
        """Of which of its ``count`` series it has learned, shape (S,)."""
        known = np.ones(count, dtype=bool)
        for table in self.tables().values():
            known &= np.isfinite(table).reshape(count, -1).all(axis=1)
        return known

    def take(self, rows: Int) -> Self:
        """The series at ``rows``, in that order."""
        return self.with_tables({key: value[rows] for key, value in self.tables().items()})

    def put(self, rows: Int, other: Fitted) -> Self:
        """The same with the series at ``rows`` replaced by those of ``other``."""
        mine, theirs = self.tables(), other.tables()
        for key in mine:
            mine[key] = mine[key].copy()
            mine[key][rows] = theirs[key]
        return self.with_tables(mine)

    def followed_by(self, other: Fitted) -> Self:
        """Its series, then those of ``other``."""
        theirs = other.tables()
        return self.with_tables({key: np.concatenate([value, theirs[key]]) for key, value in self.tables().items()})

    def settled(self) -> Self:
        """The same with neutral numbers for the series that taught nothing."""
        tables = self.tables()
        return self.with_tables({k: np.where(np.isnan(v), self.NEUTRAL[k], v) for k, v in tables.items()})

    def sound(self) -> bool:
        """Whether the numbers are such as fitting gives; NaN are."""
        return not any(np.isinf(table).any() for table in self.tables().values())


def check_least(panel: Panel, name: str, least: float, *, above: bool = False) -> None:
    """Raise ``DataError`` naming every series with a value below ``least``, or not above it."""
    wrong = panel.values <= least if above else panel.values < least
    if not wrong.any():
        return
    rows = np.flatnonzero(wrong)
    numbers, firsts, counts = np.unique(panel.series[rows], return_index=True, return_counts=True)
    takes = "values above" if above else "values of at least"
    faults = []
    for number, first, count in zip(numbers.tolist(), rows[firsts].tolist(), counts.tolist(), strict=True):
        row = first - int(panel.offsets[number])
        when = panel.timeline.stamps(panel.first[[number]] + row)[0]
        more = f" and {count - 1} more rows" if count > 1 else ""
        problem = f"{name} takes {takes} {least:g}, and there is {panel.values[first]:g} in row {row} ({when}){more}"
        remedy = f"Use yeo_johnson or asinh, which take any value, add a constant to {panel.schema.target_col} before, "
        faults.append(Fault(panel.schema.target_col, problem, f"{remedy}or leave {name} out.", panel.ids[number]))
    raise DataError(faults)


def finite(values: Float) -> Float:
    """``values`` with what is too large cut; NaN stays NaN."""
    return np.clip(values, -LARGEST, LARGEST)


def per_series(numbers: Float, values: Float) -> Float:
    """One number for each series (S,) in a shape that goes with ``values`` (S, …)."""
    return numbers.reshape((-1,) + (1,) * (values.ndim - 1))


def check_number(name: str, key: str, value: object, least: float, most: float) -> None:
    """Raise ``ConfigError`` unless ``value`` is a number from ``least`` to ``most``."""
    ok = isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most
    if not ok:
        raise ConfigError(f"{name}: {key}={printable(value)} must be a number from {least:g} to {most:g}.")
