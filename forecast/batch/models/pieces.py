"""Ask one model for the forecasts of many series, in pieces, so that trouble with some stays with those."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from forecast.baselines.local import LocalFitted
from forecast.baselines.series import WIDEST
from forecast.batch.models.failures import FAILURES, hopeless, in_words
from forecast.batch.points import reached
from forecast.errors import out_of_memory
from forecast.model import Fitted, Prediction, ascending
from forecast.panel.calendar import with_calendar
from forecast.panel.fill import as_models_see
from forecast.panel.newest import newest_known
from forecast.panel.panel import Panel

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

BLOCK = 512  # nets forecast so many series at a time; pieces end where such a batch ends
NOTHING_KNOWN = "no value of it is known"
PATIENCE = 8  # so many single series of a block, spread over it, may fail before the block is given up
GIVEN_UP = 3  # so many blocks may be given up before the model is


@dataclass(frozen=True)
class Answer:
    """Forecasts of the series at ``rows`` of the panel, in that order; or why there are none."""

    rows: Int
    outcome: Prediction | str


@dataclass(frozen=True)
class Piece:
    """Series for one call: those at ``rows`` of the panel, of which only those ``asked`` matter.

    The others keep their places, so that arithmetic in batches gives the same numbers, but pretend to be constant.
    """

    rows: Int
    asked: Bool

    def panel(self, panel: Panel, h: int) -> Panel:
        """What the model is given, to forecast ``h`` steps."""
        part = panel.take(self.rows)
        if not self.asked.all():
            part = replace(part, values=np.where(np.repeat(self.asked, part.lengths), part.values, 1.0))
        return as_models_see(with_calendar(part, h))

    def halves(self) -> list[Piece]:
        """Two pieces with half the series, cut between blocks; of one block two with every other series asked."""
        if len(self.rows) > BLOCK:
            return self.cut(max(1, len(self.rows) // BLOCK // 2) * BLOCK)
        chosen = np.flatnonzero(self.asked)
        pieces = []
        for part in (chosen[::2], chosen[1::2]):
            asked = np.zeros(len(self.rows), dtype=bool)
            asked[part] = True
            pieces.append(Piece(self.rows, asked))
        return pieces

    def cut(self, at: int) -> list[Piece]:
        """The rows before ``at`` and the rest, without a piece that is asked nothing."""
        parts = [Piece(self.rows[:at], self.asked[:at]), Piece(self.rows[at:], self.asked[at:])]
        return [part for part in parts if part.asked.any()]


def ask(fitted: Fitted, panel: Panel, todo: Int, h: int, probs: tuple[float, ...], chunk: int) -> Iterator[Answer]:
    """What ``fitted`` says of the series at ``todo``: every one of them is in exactly one answer.

    A call that raises is repeated with fewer series until those that cannot be forecast are by themselves; where a
    whole spread of single ones fails, the block, then the model, is given up. When memory runs out, calls get smaller
    and stay so. A series of which nothing is known is not asked about, unless the model can do without rows.
    """
    if not getattr(fitted, "takes_newborn", False):
        known = newest_known(panel)[todo] >= 0
        yield Answer(todo[~known], NOTHING_KNOWN)
        todo = todo[known]
    yield from _Asking(fitted, panel, h, probs).run(_pieces(fitted, panel, todo, chunk))


def _pieces(fitted: Fitted, panel: Panel, todo: Int, chunk: int) -> list[Piece]:
    """Chunks of the panel with something to do, last first. A local model is given those series and no others:
    nothing it computes depends on which others there are."""
    chunk = -(-chunk // BLOCK) * BLOCK
    if isinstance(fitted, LocalFitted):
        rows, asked = todo, np.ones(len(todo), dtype=bool)
    else:
        newborn = getattr(fitted, "takes_newborn", False)
        rows = np.arange(len(panel)) if newborn else np.flatnonzero(panel.lengths > 0)
        asked = np.isin(rows, todo, assume_unique=True)
        kept = np.repeat(np.logical_or.reduceat(asked, np.arange(0, len(rows), BLOCK)), BLOCK)[: len(rows)]
        rows, asked = rows[kept], asked[kept]
    pieces = [Piece(rows[start : start + chunk], asked[start : start + chunk]) for start in range(0, len(rows), chunk)]
    return pieces[::-1]


class _Asking:
    """Calls of one model: how many series it can take at a time, and where it is of any use."""

    def __init__(self, fitted: Fitted, panel: Panel, h: int, probs: tuple[float, ...]) -> None:
        self.fitted, self.panel, self.h, self.probs = fitted, panel, h, probs
        self.largest = len(panel)
        self.failed: Counter[int] = Counter()  # block -> single series of it that failed
        self.useful: set[int] = set()  # blocks that some series of could be forecast
        self.lost: set[int] = set()

    def run(self, stack: list[Piece]) -> Iterator[Answer]:
        """Answers for all pieces; the last of ``stack`` comes first."""
        while stack:
            piece = stack.pop()
            if len(piece.rows) > self.largest:
                stack += reversed(piece.cut(self.largest))
                continue
            try:
                answers = self._answers(piece)
            except FAILURES as error:
                reason = in_words(error)
                answers = [Answer(one.rows[one.asked], reason) for one in self._given_up(piece, error, stack)]
            yield from answers

    def _given_up(self, piece: Piece, error: Exception, stack: list[Piece]) -> list[Piece]:
        """What is not tried again after ``error``; the rest goes back on the stack, in smaller pieces."""
        block = _block(piece)
        if out_of_memory(error) and len(piece.rows) > 1:
            self.largest = _smaller(len(piece.rows))
            stack.append(piece)
            return []
        if out_of_memory(error):
            self.largest = len(self.panel)  # not even one fits: that series is to blame, others may fit together
        if hopeless(error) or (len(self.lost) >= GIVEN_UP and not self.useful):
            everything = [piece, *stack]
            stack.clear()
            return everything
        if len(piece.rows) <= BLOCK and self.failed[block] >= PATIENCE and block not in self.useful:
            self.lost.add(block)
            return [piece]
        if piece.asked.sum() > 1:
            stack += reversed(piece.halves())
            return []
        self.failed[block] += 1
        return [piece]

    def _answers(self, piece: Piece) -> list[Answer]:
        reached("models.chunk")
        given = piece.panel(self.panel, self.h)
        prediction = self.fitted.predict(given, self.h, self.probs)
        point, quantiles = np.asarray(prediction.point), np.asarray(prediction.quantiles)
        shape = (len(piece.rows), self.h)
        if point.shape != shape or quantiles.shape != (*shape, len(self.probs)):
            raise ValueError(f"forecasts of shape {point.shape} and {quantiles.shape} for {shape[0]} series")
        self.useful.add(_block(piece))
        finite = np.asarray(np.isfinite(point).all(axis=1) & np.isfinite(quantiles).all(axis=(1, 2)), dtype=bool)
        absurd = finite & (np.abs(point).max(axis=1, initial=0.0) > WIDEST * _size(given))
        return list(self._sorted(piece, prediction, finite, absurd))

    def _sorted(self, piece: Piece, prediction: Prediction, finite: Bool, absurd: Bool) -> Iterator[Answer]:
        """Good forecasts together; the others with the model's own word for it where it has one."""
        good = np.flatnonzero(piece.asked & finite & ~absurd)
        if good.size:
            place = {int(at): number for number, at in enumerate(good.tolist())} if prediction.reasons else {}
            reasons = {place[at]: why for at, why in prediction.reasons.items() if at in place}
            kept: slice | Int = slice(None) if len(good) == len(piece.rows) else good  # all of them without a copy
            point, quantiles = np.asarray(prediction.point)[kept], np.asarray(prediction.quantiles)[kept]
            yield Answer(piece.rows[good], Prediction(point, ascending(quantiles), self.probs, reasons))
        for at in np.flatnonzero(piece.asked & ~finite).tolist():
            yield Answer(piece.rows[[at]], prediction.reasons.get(at, "the forecast is not finite"))
        if (piece.asked & absurd).any():
            why = f"the forecast is beyond {WIDEST:.0e} times anything seen in the series"
            yield Answer(piece.rows[piece.asked & absurd], why)


def _block(piece: Piece) -> int:
    """The number of the block that a piece begins in."""
    return int(piece.rows[0]) // BLOCK


def _smaller(size: int) -> int:
    """Half of it, whole blocks where there are several."""
    return size // 2 if size <= BLOCK else max(1, size // BLOCK // 2) * BLOCK


def _size(panel: Panel) -> Float:
    """The largest known value of each series without its sign, (S,); infinite where none but zeros is known."""
    known = np.where(np.isfinite(panel.values), np.abs(panel.values), 0.0)
    size = np.zeros(len(panel))
    filled = panel.lengths > 0
    if filled.any():
        size[filled] = np.maximum.reduceat(known, panel.offsets[:-1][filled])
    return np.where(size > 0.0, size, np.inf)
