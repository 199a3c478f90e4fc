"""Who forecasts a series when the model before could not: model, last good model, ETS, seasonal naive, naive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from forecast.model import Fitted, Task
from forecast.models import create
from forecast.panel.panel import Panel

if TYPE_CHECKING:
    from forecast.batch.models.earlier import Earlier
    from forecast.batch.models.refresh import Choice
    from forecast.batch.models.store import ModelStore

LAST_GOOD, EARLIER, NOTHING = "last_good", "earlier_forecast", "none"
# name in `source` -> yaml; from the first one on that forecasts quarantined series too
BASELINES = (("ets", "batched_ets"), ("seasonal_naive", "seasonal_naive"), ("naive", "naive"))
SAFE = frozenset({"seasonal_naive", "naive", EARLIER})


@dataclass(frozen=True)
class Link:
    """One model of a chain.

    Attributes:
        name: what ``source`` says of its forecasts.
        load: gives the fitted model when it is first needed, or ``None`` when there is none.
        note: why its forecasts are not the job's own model's; empty for that.
        safe: whether it also forecasts series whose rows are not to be trusted.
    """

    name: str
    load: Callable[[], Fitted | None]
    note: str = ""
    safe: bool = False


def fallback_chain(
    choice: Choice, store: ModelStore, panel: Panel, task: Task, slot: datetime, earlier: Earlier | None = None
) -> list[Link]:
    """The job's model and everything that may stand in for it, best first.

    ``earlier`` are the forecasts published last; they serve series of which nothing is known.
    """
    links = []
    if choice.model is not None:
        model = choice.model
        name = LAST_GOOD if choice.stand_in else model.name
        other = "" if model.name == choice.name else f"the current version {choice.version} is {model.name}"
        links.append(Link(name, lambda: model.fitted, choice.stand_in or other, name in SAFE))

    def last_good() -> Fitted | None:
        found = store.last_good(slot, besides={choice.version, store.journal().current(slot)})
        return None if found is None else found.model.fitted

    why = "" if links else "; ".join(choice.reasons) or "there is no model"
    links.append(Link(LAST_GOOD, last_good, why))
    links += [_baseline(name, yaml, panel, task, why) for name, yaml in BASELINES]
    if earlier is not None:
        links.append(Link(EARLIER, lambda: earlier, why, safe=True))
    return links


def _baseline(name: str, yaml: str, panel: Panel, task: Task, why: str) -> Link:
    return Link(name, lambda: create(yaml).fit(panel, task), why, name in SAFE)
