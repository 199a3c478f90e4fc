"""What a model says of windows that it has not learned from: the stuff that conformal intervals are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from forecast.intervals.scale import LocalScale, Measured
from forecast.model import Fitted
from forecast.panel.fill import as_models_see
from forecast.panel.panel import Panel
from forecast.panel.split import actuals, rolling_cutoffs

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]

ENOUGH_WINDOWS = 600  # of all series together
FEWEST, MOST = 3, 100  # cutoffs
MOST_SCORED = 100_000  # windows; of more series than make these some are left out
MOST_ROWS = 2_000_000  # rows of several cutoffs forecast side by side


def calibration_cutoffs(panel: Panel, h: int, windows: int | None, share: int) -> Int:
    """Ordinals of the cutoffs to judge a model at, oldest first, shape (K, S): the last window ends with each series.

    ``windows`` of them, or as many as make enough of all series, within the last of ``share`` parts of the median
    series, or one where that is shorter than the horizon ``h``.
    """
    room = max(h, int(np.median(panel.lengths)) // share)
    usual = int(np.clip(-(-ENOUGH_WINDOWS // max(len(panel), 1)), FEWEST, MOST))
    count = min(usual, room - h + 1) if windows is None else windows
    step = 1 if count == 1 else int(np.clip((room - h) // (count - 1), 1, h))
    return rolling_cutoffs(panel, h, count, step)


def judged_series(panel: Panel, cutoffs: int) -> Int:
    """The series to calibrate on: all, or of very many an even spread."""
    stride = max(1, -(-len(panel) * cutoffs // MOST_SCORED))
    return np.arange(0, len(panel), stride, dtype=np.int64)


@dataclass(frozen=True)
class Judged:
    """Windows and how wrong a model was on them.

    Attributes:
        error: actual less point forecast, (V, h); NaN where either is unknown.
        measured: the past of each window as each scale asked for sees it.
        series: position in the panel of each window's series, (V,).
        turn: number of its cutoff, (V,), ascending.
    """

    error: Float
    measured: tuple[Measured, ...]
    series: Int
    turn: Int


def judged(
    fitted: Fitted, panel: Panel, cutoffs: Int, h: int, scales: Sequence[LocalScale], season_length: int
) -> Iterator[Judged]:
    """Let ``fitted`` forecast from ``cutoffs`` (ordinals, (K, S)) in ``panel``, several at a time.

    ``panel`` has its values as they are; a model sees them by the schema's policies, from the rows before each cutoff
    alone. Windows without a known value before their cutoff are left out.
    """
    together = max(1, MOST_ROWS // max(len(panel.values), 1))
    for begin in range(0, len(cutoffs), together):
        some = cutoffs[begin : begin + together]
        turn, series = np.nonzero(_begun(panel, some))
        if not series.size:
            continue
        cutoff = some[turn, series]
        whole = panel.take(series)
        past = as_models_see(whole.before(cutoff), season_length)
        point = fitted.predict(past, h).point
        measured = tuple(scale.measured(past) for scale in scales)
        with np.errstate(over="ignore", invalid="ignore"):
            error = actuals(whole, cutoff, h) - point
        yield Judged(np.where(np.isfinite(error), error, np.nan), measured, series, turn + begin)


def _begun(panel: Panel, cutoffs: Int) -> npt.NDArray[np.bool_]:
    """Of which windows (K, S) a value is known before the cutoff."""
    known = np.isfinite(panel.values)
    first = np.full(len(panel), np.iinfo(np.int64).max)
    np.minimum.at(first, panel.series[known], panel.ordinals[known])
    begun: npt.NDArray[np.bool_] = cutoffs >= first
    return begun


def joined(parts: Sequence[Judged], h: int, scales: int) -> Judged:
    """All windows of several calls; none where there is no part."""
    empty = np.empty(0)
    nothing = Judged(np.empty((0, h)), (Measured(empty, empty.astype(np.int64), empty),) * scales, *2 * (_nobody(),))
    every = [nothing, *parts]
    measured = tuple(
        Measured(*(np.concatenate(column) for column in zip(*(part.measured[n] for part in every), strict=True)))
        for n in range(scales)
    )
    error = np.concatenate([part.error for part in every])
    series, turn = (np.concatenate([getattr(part, name) for part in every]) for name in ("series", "turn"))
    return Judged(error, measured, series, turn)


def _nobody() -> Int:
    return np.empty(0, dtype=np.int64)
