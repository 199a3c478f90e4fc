"""Forecasts from the cutoffs of a backtest made again, from panels that were tampered with, and their error."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.backtest import forecast_frame
from forecast.errors import DataError
from forecast.forecasts import Wanted, share_columns
from forecast.model import Fitted
from forecast.panel.fill import as_models_see
from forecast.panel.panel import Panel
from forecast.panel.split import Past, past_at
from forecast.report.evaluate import score
from forecast.report.folds import Folds, read_folds
from forecast.report.shuffle import columns_of, shuffled

Int = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]


def spread_evenly(count: int, most: int) -> Int:
    """Positions of at most ``most`` of so many items, evenly spaced, the last among them."""
    return np.linspace(count - 1, 0, min(most, count)).round().astype(np.int64)[::-1]


@dataclass(frozen=True)
class Window:
    """One cutoff: what was known then, the rows to forecast, and which of the forecasts have one, (S * h,)."""

    panel: Panel
    frame: pd.DataFrame
    inside: npt.NDArray[np.bool_]


def windows_at(panel: Panel, cutoffs: Int, h: int, season_length: int) -> list[Window]:
    """The cutoffs by which something is known of these series."""
    windows = []
    for cutoff in cutoffs:
        try:
            past: Past = past_at(panel, cutoff)
        except DataError:  # others of the backtest had begun by then
            continue
        own = cutoff[past.chosen]
        frame = forecast_frame(panel, past, own, {}, h, Wanted())
        inside = (own[:, None] + 1 + np.arange(h) <= panel.last[past.chosen][:, None]).ravel()
        windows.append(Window(as_models_see(past.panel, season_length), frame, inside))
    return windows


def affordable(
    windows: list[Window],
    fitted: Mapping[str, Fitted],
    roles: Mapping[str, Sequence[str]],
    h: int,
    seconds: float | None,
) -> list[Window]:
    """As many of the windows as let every column have one draw in the time there is, at least one."""
    if seconds is None or len(windows) < 2:
        return windows
    panel = windows[-1].panel
    started = time.monotonic()
    for name in roles:
        fitted[name].predict(panel, h)
    once = (time.monotonic() - started) / max(len(roles), 1)
    draws = sum(2 + len(columns_of(panel, role)) for own in roles.values() for role in own)
    most = max(1, min(len(windows), int(seconds / max(once * draws, 1e-9))))
    return [windows[at] for at in spread_evenly(len(windows), most)]


@dataclass(frozen=True)
class Exam:
    """A model and everything needed to score it on the windows."""

    name: str
    fitted: Fitted
    windows: Sequence[Window]
    folds: Folds
    h: int
    classes: tuple[float, ...] = ()

    def score(self, panels: Iterable[Panel], metric: str) -> float:
        """The error of forecasts made from ``panels``, one for each window; of events and classes the Brier score."""
        made = [self.fitted.predict(panel, self.h) for panel in panels]
        columns = {self.name: self._laid_out([each.point for each in made])}
        for number, column in enumerate(share_columns(self.name, self.classes)):
            columns[column] = self._laid_out([each.shares[..., number] for each in made if each.shares is not None])
        frame = self.folds.frame.assign(**columns)
        return float(score(replace(self.folds, frame=frame))["brier" if self.classes else metric].iloc[0])

    def _laid_out(self, tables: Sequence[Float]) -> Float:
        """Numbers (S, h) of each window as one column, those of rows that are there."""
        return np.concatenate([t.ravel()[w.inside] for w, t in zip(self.windows, tables, strict=True)])

    def score_true(self, metric: str) -> float:
        """The error with everything in order."""
        return self.score([window.panel for window in self.windows], metric)

    def score_shuffled(self, role: str, names: Sequence[str], metric: str, rng: np.random.Generator) -> float:
        """The error with the columns ``names`` of a role out of order, differently at each cutoff."""
        return self.score([shuffled(window.panel, role, names, self.h, rng) for window in self.windows], metric)


def exam_of(panel: Panel, windows: Sequence[Window], name: str, fitted: Fitted, h: int, season_length: int) -> Exam:
    """``fitted`` and the rows of all windows, ready to be scored; the forecasts are filled in later."""
    classes = fitted.predict(windows[-1].panel, h).classes
    columns = {name: 0.0, **dict.fromkeys(share_columns(name, classes), 1.0 / max(1, len(classes)))}
    frame = pd.concat([window.frame for window in windows], ignore_index=True).assign(**columns)
    return Exam(name, fitted, windows, read_folds(frame, panel, season_length, panel.schema), h, classes)
