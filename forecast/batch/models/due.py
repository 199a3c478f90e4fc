"""When a model is trained: the slot decides, never the clock, so that a backfill equals the runs of those days."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, is_dataclass
from datetime import datetime, timedelta
from typing import Any

from forecast.baselines.local import LocalModel
from forecast.batch.models.journal import Journal
from forecast.batch.models.store import Found
from forecast.model import Model, Task

RECIPE_LENGTH = 16


@dataclass(frozen=True)
class Situation:
    """What the decision rests on.

    Attributes:
        journal: what has happened to the job's models.
        slot: the slot of the run.
        found: the version that the run would use; ``None`` when there is none.
        problem: why there is none although there are versions, in words.
        model: what would be trained.
        recipe: fingerprint of what the job asks for, see :func:`recipe_of`; empty when it asks for a saved model.
        h: the horizon asked for.
        refresh_after: the age at which a model is trained again; ``None``: never.
        drift: what the watch says has drifted, if that is to matter.
    """

    journal: Journal
    slot: datetime
    found: Found | None
    problem: str
    model: Model
    recipe: str
    h: int
    refresh_after: timedelta | None = None
    drift: str = ""


def due(now: Situation) -> str:
    """Why a model is to be trained at this slot, in words; empty when it is not.

    Once a slot has led to a promotion or a refusal, its runs train no more: to run it again gives the same model. A
    training that failed is tried again. Age counts from the last attempt, passed or refused. A model that learns
    nothing from the panel (a local one, ETS for example) does not age.
    """
    attempts = now.journal.attempts(now.slot)
    last = attempts[0] if attempts else None
    asked_before = next((e.facts["recipe"] for e in attempts if e.facts.get("recipe")), "")
    changed = bool(now.recipe and asked_before and now.recipe != asked_before)
    if last is not None and last.slot == now.slot and not changed and (now.found or last.kind == "refused"):
        return ""
    if now.found is None:
        return now.problem or ("no version has passed the gate yet" if attempts else "there is no model yet")
    if changed:
        return "the settings of the model have changed"
    if now.found.model.task.h < now.h:
        return f"the current version forecasts {now.found.model.task.h} steps and the job asks for {now.h}"
    learns = not isinstance(now.model, LocalModel)
    if now.found.reason and (now.refresh_after is not None or not learns):
        return "the current version cannot be used"
    if not learns or last is None or last.slot is None:
        return ""
    if now.refresh_after is not None and now.slot - last.slot >= now.refresh_after:
        since = f"{last.slot:%Y-%m-%d %H:%M}Z"
        return f"the last training was for {since}, {words(now.slot - last.slot)} before this slot"
    return f"drift: {now.drift}" if now.drift else ""


def words(span: timedelta) -> str:
    """A duration for people.

    >>> words(timedelta(days=8)), words(timedelta(hours=36))
    ('8 days', '1 days 12 hours')
    """
    hours, minutes = divmod(int(span.total_seconds()) % 86_400 // 60, 60)
    parts = [(span.days, "days"), (hours, "hours"), (minutes, "minutes")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count) or "0 minutes"


def recipe_of(model: Model, task: Task) -> str:
    """What tells one way of making a model from another: 16 hex digits over kind, hyper-parameters, training, task."""
    spec: Any = getattr(model, "architecture", None) or getattr(model, "spec", None) or model
    training = getattr(model, "training", None)
    parts = [
        f"{type(spec).__module__}.{type(spec).__qualname__}",
        asdict(spec) if is_dataclass(spec) and not isinstance(spec, type) else None,
        None if training is None else training.recipe,
        {key: value for key, value in asdict(task).items() if key != "progress"},
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:RECIPE_LENGTH]
