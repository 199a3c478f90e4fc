"""Transforms one after the other, fitted on the rows that may teach, for the series of any panel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.panel.panel import Panel
from forecast.panel.segments import sums
from forecast.panel.transforms.base import Fitted, Float, Transform

Int = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Bound:
    """A chain as it is for the series of one panel.

    Attributes:
        links: the transforms, each with a row for each series.
        stages: the panel before the first, after the first, …, after the last.
    """

    links: tuple[Fitted, ...]
    stages: tuple[Panel, ...]

    @property
    def panel(self) -> Panel:
        """The panel after the last transform."""
        return self.stages[-1]

    def back(self, point: Float, quantiles: Float) -> tuple[Float, Float]:
        """A median (S, h) and quantiles (S, h, Q) of the last panel, in the units of the first."""
        for link, stage in zip(reversed(self.links), reversed(self.stages[:-1]), strict=True):
            point, quantiles = link.carry(point, quantiles, stage)
        return point, quantiles


@dataclass(frozen=True)
class Chain:
    """Fitted transforms and the series that they were fitted on.

    A series that they were not fitted on, or that taught them nothing, is given parameters from its own rows when it is
    met, so that what is forecast of it depends on itself alone.

    Attributes:
        specs: the transforms, first to last.
        ids: the series fitted on, shape (S,).
        links: the same transforms fitted, each with a row for each of ``ids``; NaN where a series taught nothing.
    """

    specs: tuple[Transform, ...]
    ids: pd.Index
    links: tuple[Fitted, ...]

    def bound(self, panel: Panel) -> Bound:
        """The chain for the series of ``panel``. Raises ``DataError`` for values that a transform cannot take."""
        place = _places(self.ids, panel)
        links, stages = [], [panel]
        for spec, link in zip(self.specs, self.links, strict=True):
            chosen = _completed(spec, link, place, len(self.ids), stages[-1])
            links.append(chosen)
            stages.append(chosen.forward(stages[-1]))
        return Bound(tuple(links), tuple(stages))

    def joined_by(self, bound: Bound) -> Chain:
        """The same with the series of ``bound`` that it does not have and of which anything is known."""
        panel = bound.stages[0]
        taught = sums(np.isfinite(panel.values).astype(np.float64), panel.offsets) > 0
        new = np.flatnonzero((_places(self.ids, panel) < 0) & taught)
        if not new.size:
            return self
        links = tuple(mine.followed_by(one.take(new)) for mine, one in zip(self.links, bound.links, strict=True))
        return Chain(self.specs, self.ids.append(panel.ids[new]), links)


def fit_chain(specs: Sequence[Transform], panel: Panel, cutoff: Int) -> tuple[Chain, Bound]:
    """Fit ``specs`` on the rows of each series up to ordinal ``cutoff[s]``; all rows are transformed.

    Raises ``DataError`` naming series and rows of values that one of them cannot take.
    """
    place = np.arange(len(panel), dtype=np.int64)
    fitted, links, stages = [], [], [panel]
    for spec in specs:
        current = stages[-1]
        fitted.append(spec.fit(current.before(cutoff)))
        links.append(_completed(spec, fitted[-1], place, len(panel), current))
        stages.append(links[-1].forward(current))
    return Chain(tuple(specs), panel.ids, tuple(fitted)), Bound(tuple(links), tuple(stages))


def _places(ids: pd.Index, panel: Panel) -> Int:
    """Where each series of ``panel`` is among ``ids``, -1 where it is not."""
    if not len(ids):
        return np.full(len(panel), -1, dtype=np.int64)
    return ids.get_indexer(panel.ids).astype(np.int64)


def _completed(spec: Transform, link: Fitted, place: Int, count: int, panel: Panel) -> Fitted:
    """``link``, fitted on ``count`` series, for those at ``place``; what it does not know is learned from ``panel``."""
    if not link.tables():
        return link
    chosen = link.take(np.maximum(place, 0))
    strangers = np.flatnonzero(~np.append(link.known(count), False)[place])
    return chosen.put(strangers, spec.fit(panel.take(strangers))).settled() if strangers.size else chosen
