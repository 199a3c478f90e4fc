"""Frames for property tests: one Hypothesis strategy for what users bring, covariates and their future included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

H = 3
ZONE = "Europe/Berlin"
ORIGIN = "2015-03-26"  # three days before clocks go forward in Berlin: hours and days both cross the change
FREQS: tuple[str | int, ...] = ("D", "h", "MS", "ME", "W-MON", "B", "QS", "15min", 1)
KINDS = ("raw", "noise", "walk", "season", "constant", "zero", "step", "spike")
DECADES = (1e-6, 1.0, 1e6)
MASKS = ("none", "unknown", "missing")
HIST, FUTR, STAT = ["price", "weather"], ["promo", "event"], ["size", "region"]
ROLES = {"hist_exog": HIST, "futr_exog": FUTR, "stat_exog": STAT}


@dataclass(frozen=True)
class Sample:
    """A long frame, and what else a forecast of it needs.

    Attributes:
        frame: ``unique_id``, ``ds``, ``y``, ``place`` (of the row on its series' grid, a column that no model knows)
            and, with covariates, those of ``HIST`` and ``FUTR``.
        future: the ``H`` rows after each series, with the columns of ``FUTR``; ``None`` without covariates.
        static: a row for each series with the columns of ``STAT``; ``None`` without covariates.
    """

    frame: pd.DataFrame
    freq: str | int
    tz: str | None = None
    future: pd.DataFrame | None = None
    static: pd.DataFrame | None = None

    def of(self, *ids: str) -> Sample:
        """The series ``ids`` alone."""
        parts = {name: None if (t := getattr(self, name)) is None else t[t["unique_id"].isin(ids)] for name in TABLES}
        return replace(self, **parts)

    def mapped(self, change: Any) -> Sample:
        """``change`` made to every table."""
        return replace(self, **{name: None if (t := getattr(self, name)) is None else change(t) for name in TABLES})

    def beside(self, other: Sample) -> Sample:
        """Both samples in one; ids must differ."""
        tables = {name: (getattr(self, name), getattr(other, name)) for name in TABLES}
        return replace(
            self,
            **{name: None if two[0] is None else pd.concat(two, ignore_index=True) for name, two in tables.items()},
        )

    def with_y(self, change: Any) -> Sample:
        """The target changed by ``change``, a function of it."""
        return replace(self, frame=self.frame.assign(y=change(self.frame["y"])))

    @property
    def ids(self) -> list[str]:
        """The series, first seen first."""
        return self.frame["unique_id"].unique().tolist()

    @property
    def back(self) -> pd.Series:
        """Steps of the grid from each row to the last row of its series."""
        place = self.frame.groupby("unique_id")["place"]
        return place.transform("max") - self.frame["place"]

    def until(self, back: int) -> Sample:
        """The rows at least ``back`` steps before the end of their series; those after give the future."""
        late = self.frame[(self.back < back) & (self.back >= back - H)]
        future = None if self.future is None else late[["unique_id", "ds", *FUTR]]
        return replace(self, frame=self.frame[self.back >= back], future=future)

    @property
    def size(self) -> pd.Series:
        """By series: what rounding is measured by, the range of its values and a billionth of their level."""
        y = self.frame.groupby("unique_id")["y"]
        return y.max() - y.min() + 1e-9 * np.maximum(y.max().abs(), y.min().abs())


TABLES = ("frame", "future", "static")


def stamps(freq: str | int, first: int, count: int, tz: str | None = None) -> Any:
    """``count`` stamps of the grid, from its row ``first`` on, as pandas makes them."""
    if isinstance(freq, int):
        return freq * np.arange(first, first + count)
    return pd.date_range(ORIGIN, periods=first + count, freq=freq, tz=tz)[first:]


def values(kind: str, n: int, decade: float, seed: int, raw: Sequence[float] = (1.0,)) -> np.ndarray:
    """``n`` values of a ``kind``, of the size of ``decade``."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(n)
    level = rng.choice([0.0, 10.0])
    shapes = {
        "raw": lambda: np.resize(np.array(raw), n),
        "noise": lambda: level + noise,
        "walk": lambda: level + noise.cumsum(),
        "season": lambda: level + np.resize(rng.standard_normal(7), n) + 0.1 * noise,
        "constant": lambda: np.full(n, level + noise[0]),
        "zero": lambda: np.zeros(n),
        "step": lambda: level + 5.0 * (np.arange(n) >= n // 2) + 0.1 * noise,
        "spike": lambda: level + noise + 1000.0 * (np.arange(n) == seed % n),
    }
    return decade * shapes[kind]()


def covariates(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """``frame`` with a column of numbers and one of labels for each role, some cells missing."""
    rng = np.random.default_rng(seed)
    rows = len(frame)
    return frame.assign(
        price=np.where(rng.random(rows) < 0.1, np.nan, rng.standard_normal(rows)),
        weather=rng.choice(["sun", "rain"], rows),
        promo=rng.choice([0.0, 1.0], rows),
        event=rng.choice(["none", "fair", "strike"], rows),
    )


def series_rows(
    name: str, freq: str | int, first: int, y: np.ndarray, tz: str | None = None, seed: int | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of one series and the ``H`` after it; with a ``seed`` they have covariates."""
    n = len(y)
    times = stamps(freq, first, n + H, tz)
    whole = pd.DataFrame({"unique_id": name, "ds": times, "y": np.append(y, np.full(H, np.nan))})
    whole["place"] = np.arange(n + H)
    if seed is not None:
        whole = covariates(whole, seed)
    future = whole.iloc[n:].drop(columns=["y", "place", *(HIST if seed is not None else [])])
    return whole.iloc[:n], future


@st.composite
def panel(
    draw: st.DrawFn,
    *,
    freqs: Sequence[str | int] = FREQS,
    kinds: Sequence[str] = KINDS,
    decades: Sequence[float] = DECADES,
    series: int = 6,
    shortest: int = 1,
    longest: int = 80,
    masks: Sequence[str] = MASKS,
    exog: bool = False,
) -> Sample:
    """Up to ``series`` series of ``shortest`` … ``longest`` rows, of any kind and size, zoned or not, with unknown
    cells and missing rows, shuffled or not, beginning at different times. The first and last row are always there."""
    freq = draw(st.sampled_from(freqs))
    tz = None if isinstance(freq, int) else draw(st.sampled_from([None, ZONE]))
    frames, futures = [], []
    for number in range(draw(st.integers(1, series))):
        kind, n, seed = draw(st.tuples(st.sampled_from(kinds), st.integers(shortest, longest), st.integers(0, 2**16)))
        raw = (
            draw(st.lists(st.floats(-1e3, 1e3).map(lambda v: round(v, 3)), min_size=1, max_size=6))
            if kind == "raw"
            else ()
        )
        y = values(kind, n, draw(st.sampled_from(decades)), seed, raw)
        rows, future = series_rows(f"s{number}", freq, draw(st.integers(0, 9)), y, tz, seed if exog else None)
        frames.append(hidden(rows, seed, draw(st.sampled_from(masks))))
        futures.append(future)
    frame = pd.concat(frames, ignore_index=True)
    if draw(st.booleans()):
        frame = frame.sample(frac=1.0, random_state=1)
    if not exog:
        return Sample(frame, freq, tz)
    rng = np.random.default_rng(len(frame))
    known = pd.DataFrame({"unique_id": [f"s{i}" for i in range(len(frames))]})
    static = known.assign(size=rng.standard_normal(len(known)), region=rng.choice(["north", "south"], len(known)))
    return Sample(frame, freq, tz, pd.concat(futures, ignore_index=True), static)


def hidden(rows: pd.DataFrame, seed: int, how: str) -> pd.DataFrame:
    """Some ``rows`` but the first and last without a value (``unknown``), or not there (``missing``)."""
    chosen = np.random.default_rng(seed).random(len(rows)) < 0.2
    chosen[[0, -1]] = False
    if how == "missing":
        return rows[~chosen]
    return rows.assign(y=rows["y"].mask(chosen)) if how == "unknown" else rows
