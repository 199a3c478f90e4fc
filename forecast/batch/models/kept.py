"""One model with what is needed to use it, to save it and to tell it from others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from forecast import artifact
from forecast.errors import ArtifactError, some
from forecast.model import Fitted, Model, Task
from forecast.panel.panel import Panel
from forecast.persist import Saved, from_artifact, to_artifact
from forecast.timeline import Timeline

HASH_LENGTH = 16


def model_hash(manifest: Mapping[str, Any]) -> str:
    """What tells models apart: 16 hex digits over everything in ``manifest`` that forecasts depend on.

    The weights, the sizes, the hyper-parameters, the task and the grid; not when and how fast the model was trained,
    nor the rows saved along. Two trainings of equal outcome are one model. Raises ``ArtifactError`` for a manifest
    that lacks a part.
    """
    try:
        facts = manifest["facts"]
        task = {key: value for key, value in facts["task"].items() if key != "progress"}
        parts = [
            _without_history(facts["models"]),
            task,
            facts["schema"],
            facts["timeline"],
            facts.get("static"),
            manifest["files"]["model"]["sha256"],
        ]
    except (AttributeError, KeyError, TypeError) as error:
        raise ArtifactError("The manifest of the saved model lacks a part. Restore it or save again.") from error
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:HASH_LENGTH]


def _without_history(value: Any) -> Any:
    """``value`` without what training recorded of itself: learning curves, seconds."""
    if isinstance(value, Mapping):
        return {key: _without_history(item) for key, item in value.items() if key != "history"}
    return [_without_history(item) for item in value] if isinstance(value, list) else value


def saved_hash(folder: str | Path) -> str:
    """:func:`model_hash` of the model saved in ``folder``. Raises ``ArtifactError``."""
    return model_hash(artifact.read_manifest(folder))


@dataclass(frozen=True)
class Kept:
    """A fitted model by itself: without the rows that it was trained on.

    Attributes:
        name: of the model, ``segrnn`` for example.
        model, fitted: the model and what training made of it.
        task: what it was trained for.
        sample: one row or a few of one series, ending with the last row trained on: they tell grid, kind of ids and
            static features, and how far the training rows reach.
    """

    name: str
    model: Model
    fitted: Fitted
    task: Task
    sample: Panel

    def save(self, folder: str | Path) -> Path:
        """Write it like :meth:`forecast.Forecaster.save`, which can load it."""
        saved = Saved({self.name: self.model}, {self.name: self.fitted}, self.task, self.sample)
        return artifact.write(folder, to_artifact(saved))

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """What :meth:`save` or :meth:`forecast.Forecaster.save` wrote; runs no code from the folder.

        Raises ``ArtifactError`` for a missing, damaged, foreign or newer model, and for several models in one.
        """
        saved = from_artifact(artifact.read(folder))
        if len(saved.models) != 1:
            raise ArtifactError(
                f"{some([str(folder)])} holds {len(saved.models)} models ({some(saved.models)}); a job has one. Save "
                "one of them, or an ensemble of them."
            )
        (name, model), (fitted,) = next(iter(saved.models.items())), saved.fitted.values()
        return cls(name, model, fitted, saved.task, sample_of(saved.panel))

    def trained_until(self, grid: Timeline) -> int | None:
        """Ordinal on ``grid`` of the last row trained on; ``None`` where one grid has dates and the other integers."""
        own = self.sample.timeline
        if (own.kind == "step") != (grid.kind == "step"):
            return None
        stamps = own.stamps(self.sample.last.max(keepdims=True))
        return int(grid.ordinals(stamps)[0][0])


def sample_of(panel: Panel) -> Panel:
    """The series of ``panel`` that ends last, from its last known row on.

    Raises ``ArtifactError`` when no value of any series is known.
    """
    rows = np.where(np.isfinite(panel.values), np.arange(len(panel.values)), -1)
    filled = np.flatnonzero(panel.lengths > 0)
    known = np.full(len(panel), -1, dtype=np.int64)
    if filled.size:
        known[filled] = np.maximum.reduceat(rows, panel.offsets[:-1][filled])
    usable = np.flatnonzero(known >= panel.offsets[:-1])
    if not usable.size:
        raise ArtifactError("No value of any series is known: there is nothing that a model could have learned from.")
    chosen = usable[[np.argmax(panel.last[usable])]]
    one = panel.take(chosen)
    return one.slice(known[chosen] - panel.offsets[chosen], one.lengths)
