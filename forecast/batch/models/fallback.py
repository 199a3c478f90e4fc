"""Always a forecast: what a model cannot do for some series, the next one of the chain does for those alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.batch.models.chain import NOTHING, Link
from forecast.batch.models.failures import FAILURES, in_words, shown
from forecast.batch.models.pieces import NOTHING_KNOWN, ask
from forecast.forecasts import Wanted
from forecast.model import Prediction
from forecast.panel.panel import Panel

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

CHUNK = 8192  # series handed to a model at a time
LONGEST_REASON = 500


@dataclass(frozen=True)
class Forecasts:
    """Forecasts of every series of a panel, and who made them.

    Attributes:
        point: (S, h), original units.
        quantiles: (S, h, Q), non-decreasing along Q.
        probs: the probabilities of ``quantiles``, ascending.
        source: name of the model that made the forecast of each series, (S,), text; ``none`` where there is none.
        reason: why it was not the job's own, (S,), text; empty where it was, and nothing else is to be said.
    """

    point: Float
    quantiles: Float
    probs: tuple[float, ...]
    source: npt.NDArray[np.object_]
    reason: npt.NDArray[np.object_]

    @property
    def prediction(self) -> Prediction:
        """As any model gives it."""
        reasons = {int(at): str(self.reason[at]) for at in np.flatnonzero(self.reason != "")}
        return Prediction(self.point, self.quantiles, self.probs, reasons)

    def arranged(self, order: Int) -> Forecasts:
        """The series at ``order``, all of them, with the numbers put in order where they are: to touch as much memory
        again would take longer than all the rest. Use this one no more."""
        if np.array_equal(order, np.arange(len(order))):
            return self
        for numbers in (self.point, *np.moveaxis(self.quantiles, -1, 0)):
            numbers[...] = numbers.take(order, axis=0)
        return replace(self, source=self.source[order], reason=self.reason[order])

    def counts(self) -> dict[str, int]:
        """How many series each source forecast, most first."""
        return dict(Counter(self.source.tolist()).most_common())


def forecasts_with_fallbacks(
    chain: Sequence[Link],
    panel: Panel,
    h: int,
    asked: Wanted,
    quarantined: Mapping[Any, object] | None = None,
    *,
    chunk: int = CHUNK,
) -> Forecasts:
    """Forecast ``h`` steps of every series of ``panel`` with the first model of ``chain`` that can.

    A model that raises, for some series or for all, or gives numbers that are not finite or absurdly large, loses
    those series to the next one, with the reason; the others are not touched. ``quarantined`` maps series to what is
    wrong with them: they begin at the first safe link. When memory runs out, fewer series are handed over at a time.
    What no link can forecast is NaN, with the source ``none``.

    Series keep their places in what a model is given whatever becomes of their neighbours, so the forecast of a good
    series is the same to the last bit with bad neighbours as with good ones. (Batches of other sizes may differ by
    rounding, 1e-6 of the value, for nets; not for baselines.)
    """
    state = _State.new(panel, h, asked.probs, quarantined or {})
    for link in chain:
        todo = np.flatnonzero(state.open if link.safe else state.open & ~state.unsafe)
        if not todo.size:
            continue
        try:
            fitted = link.load()
        except FAILURES as error:
            state.add_reason(todo, f"{link.name}: {in_words(error)}")
            continue
        if fitted is not None:
            for answer in ask(fitted, panel, todo, h, asked.probs, chunk):
                state.take(link, answer.rows, answer.outcome)
        if not state.open.any():
            break
    left = np.flatnonzero(state.open)
    state.add_reason(left, "no model could forecast it")
    return Forecasts(state.point, state.quantiles, asked.probs, state.source, state.reason)


@dataclass(frozen=True)
class _State:
    """The answer so far."""

    point: Float
    quantiles: Float
    source: npt.NDArray[np.object_]
    reason: npt.NDArray[np.object_]
    open: Bool
    unsafe: Bool
    blank: Bool

    @classmethod
    def new(cls, panel: Panel, h: int, probs: tuple[float, ...], quarantined: Mapping[Any, object]) -> _State:
        size = len(panel)
        state = cls(
            np.full((size, h), np.nan),
            np.full((len(probs), size, h), np.nan).transpose(1, 2, 0),  # each quantile in one piece, as tables have it
            np.full(size, NOTHING, dtype=object),
            np.full(size, "", dtype=object),
            np.ones(size, dtype=bool),
            np.zeros(size, dtype=bool),
            np.zeros(size, dtype=bool),
        )
        if quarantined:
            place = panel.ids.get_indexer(pd.Index(list(quarantined)))
            for at, why in zip(place.tolist(), quarantined.values(), strict=True):
                if at >= 0:
                    state.unsafe[at] = True
                    state.reason[at] = f"quarantined: {_words(why)}"
        return state

    def take(self, link: Link, rows: Int, outcome: Prediction | str) -> None:
        """Put down what ``link`` gave for the series at ``rows``: forecasts, or why there are none."""
        if outcome == NOTHING_KNOWN:  # of any model, so that is said once
            self.add_reason(rows[~self.blank[rows]], NOTHING_KNOWN)
            self.blank[rows] = True
            return
        if isinstance(outcome, str):
            self.add_reason(rows, f"{link.name}: {outcome}")
            return
        self.point[rows], self.quantiles[rows] = outcome.point, outcome.quantiles
        self.source[rows] = link.name
        self.open[rows] = False
        if link.note:
            self.add_reason(rows[self.reason[rows] == ""], link.note)
        for at, why in outcome.reasons.items():
            self.reason[rows[at]] = _joined(self.reason[rows[at]], why)

    def add_reason(self, rows: Int, why: str) -> None:
        """One more reason for some series; the first one comes first."""
        self.reason[rows] = [_joined(before, why) for before in self.reason[rows]]


def _joined(before: str, why: str) -> str:
    return f"{before}; {why}"[:LONGEST_REASON] if before else why[:LONGEST_REASON]


def _words(why: object) -> str:
    """A fault, several, or text."""
    several = list(why) if isinstance(why, (list, tuple)) else [why]
    more = f" and {len(several) - 1} more" if len(several) > 1 else ""
    first = several[0] if several else "unknown fault"
    return (first if isinstance(first, str) and first.isprintable() else shown(str(first))) + more
