"""Series with faults among good ones: models learn nothing from them, and a naive forecast stands in for theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.baselines.naive import SeasonalNaive
from forecast.errors import Fault
from forecast.model import Fitted, Prediction, Task
from forecast.panel.panel import Panel
from forecast.schema import Schema

Bad = Mapping[Any, str]  # series -> everything wrong with it, in words
COLUMNS = ("treatment", "reason")
ATTRIBUTE = "bad_series"


def in_words(faults: Mapping[Any, tuple[Fault, ...]]) -> dict[Any, str]:
    """The faults of each series as one text."""
    return {name: " ".join(str(fault) for fault in found) for name, found in faults.items()}


def good_series(panel: Panel, bad: Bad) -> Panel:
    """The panel without the bad series; the panel itself where none is."""
    places = bad_places(panel, bad)
    return panel.take(np.delete(np.arange(len(panel), dtype=np.int64), places)) if places.size else panel


def bad_places(panel: Panel, bad: Bad) -> npt.NDArray[np.int64]:
    """Where the bad series are that are in the panel."""
    if not bad or panel.schema.on_bad_series != "fallback":  # series left out have no bad row in the panel
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(panel.ids.isin(list(bad))).astype(np.int64)


def predicted(
    fitted: Fitted, panel: Panel, h: int, probs: tuple[float, ...], bad: Bad, season_length: int
) -> Prediction:
    """``fitted``'s forecasts of the good series, and seasonal naive ones of the bad, with the reason.

    A bad series of which no value is known gets NaN: nothing could be said of it.
    """
    places = bad_places(panel, bad)
    if not places.size:
        return fitted.predict(panel, h, probs)
    rest = np.delete(np.arange(len(panel), dtype=np.int64), places)
    naive = SeasonalNaive().fit(panel, Task(h, season_length, progress=False))
    point = np.full((len(panel), h), np.nan)
    quantiles = np.full((len(panel), h, len(probs)), np.nan)
    reasons: dict[int, str] = {}
    more: dict[str, Any] = {}
    for model, chosen in ((fitted, rest), (naive, places)):
        if not chosen.size:
            continue
        part = model.predict(panel.take(chosen), h, probs)
        point[chosen], quantiles[chosen] = part.point, part.quantiles
        if model is fitted:
            more = _spread_over(part, chosen, len(panel))
        elif "mean" in more:
            more["mean"][chosen] = part.point
        reasons |= {int(chosen[at]): reason for at, reason in part.reasons.items()}
    reasons |= {int(at): f"a naive forecast for its faults: {bad[panel.ids[at]]}" for at in places.tolist()}
    return Prediction(point, quantiles, probs, reasons, **more)


def _spread_over(part: Prediction, chosen: npt.NDArray[np.int64], count: int) -> dict[str, Any]:
    """Mean and probabilities of the ``chosen`` among ``count`` series, NaN for the others."""
    told: dict[str, Any] = {"classes": part.classes}
    for name in ("mean", "shares"):
        given = getattr(part, name)
        if given is not None:
            told[name] = np.full((count, *given.shape[1:]), np.nan)
            told[name][chosen] = given
    return told


def listed(bad: Bad, schema: Schema) -> pd.DataFrame:
    """One row for each bad series: id, what was done with it (``skip``, ``fallback``) and why."""
    ids = pd.Index(list(bad)) if bad else pd.Index([], dtype=object)
    columns = {schema.id_col: ids, COLUMNS[0]: schema.on_bad_series, COLUMNS[1]: list(bad.values())}
    return pd.DataFrame(columns, columns=[schema.id_col, *COLUMNS])


def noted(frame: pd.DataFrame, bad: Bad) -> pd.DataFrame:
    """``frame`` with the bad series and the reasons in its ``attrs``, where there are any."""
    if bad:
        frame.attrs[ATTRIBUTE] = {
            name if isinstance(name, (str, int)) and not isinstance(name, np.generic) else str(name): reason
            for name, reason in bad.items()
        }
    return frame
