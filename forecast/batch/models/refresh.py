"""Which model a run uses: the one kept, or one trained now because that is due."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecast.arguments import budgeted
from forecast.batch.models.challenge import Challenge, Trained
from forecast.batch.models.due import Situation, due, recipe_of
from forecast.batch.models.failures import FAILURES, in_words
from forecast.batch.models.gate import Gate, Verdict
from forecast.batch.models.kept import Kept, saved_hash
from forecast.batch.models.store import Found, ModelStore
from forecast.errors import ArtifactError, ConfigError, printable
from forecast.model import Model, Task
from forecast.models import as_model, name_of
from forecast.panel.panel import Panel

if TYPE_CHECKING:
    from forecast.training.settings import Training


@dataclass(frozen=True)
class Choice:
    """The model of a run, and how it came about.

    Attributes:
        name: what the job's model is called.
        version: id of the version used, ``None`` when there is none: then the fallback chain forecasts everything.
        model: that version, ready to forecast.
        reasons: what was decided and why, in words.
        stand_in: why this is not the version that is current by the account: that one is damaged. Usually empty.
        trained: whether a model was trained for this run.
        verdict: what the gate said of it.
        error: what stopped the training or made the models unusable. The run should fail with its exit code, after
            publishing what the chain gives, only if ``model`` is ``None``.
    """

    name: str
    version: str | None = None
    model: Kept | None = None
    reasons: tuple[str, ...] = ()
    stand_in: str = ""
    trained: bool = False
    verdict: Verdict | None = None
    error: Exception | None = None

    @property
    def model_hash(self) -> str:
        """What goes into the key of the run."""
        return self.version or hashlib.sha256(b"no model").hexdigest()[:16]

    def facts(self) -> dict[str, Any]:
        """Plain values for the ledger."""
        return {
            "model": self.name,
            "version": self.version,
            "trained": self.trained,
            "reasons": list(self.reasons),
            "gate": None if self.verdict is None else self.verdict.facts(),
            "error": None if self.error is None else in_words(self.error),
        }


@dataclass(frozen=True)
class ModelPolicy:
    """Where a job's model comes from and when it is trained again.

    Everything is decided by the slot: a run for a slot of the past uses the models of that time, and trains on the
    rows known then. With ``max_steps`` (no ``max_time``) in the training settings that is repeatable to the last bit.

    Args:
        model: a name under conf/model or conf/baseline, or an object of :mod:`forecast.models`. This or ``saved``.
        saved: the folder of a saved model. It is copied into the store, and again whenever another one lies there.
        refresh_after: train again once the last training is that old: a duration such as ``"7D"``; ``None``: never.
        refresh_on_drift: train again also when the watch reports drift.
        training: settings, or the name of a yaml under conf/trainer; with ``model`` only.
        max_steps, max_time: budget of each training; shorthand for those of ``training``.
        gate: what a challenger must pass; ``None`` lets every one pass, and trains once instead of twice.
        warm_start: begin with the weights of the current version, where they fit.

    Raises ``ConfigError`` for arguments that cannot be used together.
    """

    model: Any = None
    saved: str | Path | None = None
    refresh_after: timedelta | str | None = None
    refresh_on_drift: bool = False
    training: Training | str | None = None
    max_steps: int | None = None
    max_time: float | None = None
    gate: Gate | None = Gate()
    warm_start: bool = True

    def __post_init__(self) -> None:
        if (self.model is None) == (self.saved is None):
            raise ConfigError("a job's model is either model=NAME, which it trains, or saved=FOLDER: give one of them.")
        if self.saved is not None and (self.training, self.max_steps, self.max_time) != (None, None, None):
            raise ConfigError(
                "training, max_steps and max_time go with model=NAME; a saved model has its own settings."
            )
        object.__setattr__(self, "refresh_after", _duration(self.refresh_after))

    def choose(
        self,
        store: ModelStore,
        panel: Panel,
        task: Task,
        slot: datetime,
        *,
        quarantined: Collection[Any] = (),
        drift: str = "",
    ) -> Choice:
        """The model for ``slot``, trained now if that is due on the rows of ``panel``, which ends with the slot.

        Series that are ``quarantined`` are not learned from. ``drift`` is what the watch has reported since the last
        run, in words. Does not raise when training fails or no saved model can be used: it says so, and the chain
        forecasts. Raises ``ConfigError`` for a model that does not exist.
        """
        asked = None if self.model is None else self._named()
        choice = self._kept(store, slot, asked[0] if asked else "saved model")
        if self.saved is not None:
            choice = self._imported(store, slot, task, choice)
            _check_covariates(choice, panel)
            asked = None if choice.model is None else (choice.model.name, choice.model.model)
        if asked is None:
            return choice
        name, model = asked
        found = None
        if choice.version is not None and choice.model is not None:
            found = Found(choice.version, choice.model, choice.stand_in)
        recipe = "" if self.model is None else recipe_of(model, task)
        problem = "" if choice.error is None else in_words(choice.error)
        try:
            now = Situation(store.journal(), slot, found, problem, model, recipe, task.h, self._age, self._told(drift))
        except ArtifactError:
            return choice  # nothing could be put on record; the choice holds the reason already
        why = due(now)
        if not why:
            return choice
        good = panel.take(np.flatnonzero(~panel.ids.isin(list(quarantined)))) if len(quarantined) else panel
        challenge = Challenge(name, model, recipe, self.gate, self.warm_start)
        return _with(choice, challenge.run(store, good, task, slot, found, why))

    def _told(self, drift: str) -> str:
        return drift if self.refresh_on_drift else ""

    @property
    def _age(self) -> timedelta | None:
        return self.refresh_after if isinstance(self.refresh_after, timedelta) else None

    def _named(self) -> tuple[str, Model]:
        """The model to train, and its name. Raises ``ConfigError``."""
        name = self.model if isinstance(self.model, str) else name_of(self.model)
        return name, as_model(self.model, name, budgeted(self.training, self.max_steps, self.max_time))

    def _kept(self, store: ModelStore, slot: datetime, name: str) -> Choice:
        """What the store has for ``slot``."""
        try:
            found = store.current(slot)
        except (ArtifactError, OSError) as error:
            return Choice(name, reasons=(in_words(error),), error=error)
        if found is None:
            return Choice(name)
        reasons = (found.reason,) if found.reason else ()
        return Choice(name, found.version, found.model, reasons, found.reason)

    def _imported(self, store: ModelStore, slot: datetime, task: Task, choice: Choice) -> Choice:
        """With the saved model copied into the store, if it is another one than last time or its copy is damaged."""
        folder = str(self.saved)
        try:
            version = saved_hash(folder)
            last = next((e for e in store.journal().attempts(slot) if e.facts.get("saved")), None)
            known = last is not None and last.facts["saved"] == version
            if known and not (choice.stand_in or choice.model is None):
                return _long_enough(choice, task)
            reason = f"the saved model in {printable(folder, 200)}"
            own = store.publish(Kept.load(folder))  # named otherwise where another version of the package had saved it
            if not known:
                store.promote(own, slot=slot, reason=reason, facts={"saved": version})
            found = store.current(slot)
        except FAILURES as error:
            if choice.model is None:
                return replace(choice, error=error, reasons=(*choice.reasons, in_words(error)))
            note = f"{in_words(error)} Version {choice.version} in the store is used."
            return _long_enough(replace(choice, reasons=(*choice.reasons, note)), task)
        if found is None:
            return choice
        taken = f"{reason} is version {found.version}"
        reasons = (found.reason or taken,)
        return _long_enough(Choice(found.model.name, found.version, found.model, reasons, found.reason), task)


def _long_enough(choice: Choice, task: Task) -> Choice:
    """``choice`` under the name of its model. Raises ``ConfigError`` when that cannot reach the horizon asked for."""
    if choice.model is None:
        return choice
    if choice.model.task.h < task.h:
        raise ConfigError(
            f"the saved model forecasts {choice.model.task.h} steps and the job asks for h={task.h}. Lower h, or save "
            "a model that was fitted with a larger one."
        )
    return replace(choice, name=choice.model.name)


def _check_covariates(choice: Choice, panel: Panel) -> None:
    """Raise ``ConfigError`` when a saved model was fitted with covariates that the job does not read."""
    if choice.model is None:
        return
    for role in ("hist_exog", "futr_exog"):
        fitted, read = getattr(choice.model.sample.schema, role), getattr(panel.schema, role)
        lost = [name for name in fitted if name not in read]
        if lost:
            raise ConfigError(
                f"the saved model was fitted with {role}={list(fitted)} and schema.{role} of the job lacks "
                f"{', '.join(lost)}. Add them, or save a model that was fitted without."
            )


def _with(choice: Choice, trained: Trained) -> Choice:
    """What the run uses after a training: the new version, or still the one before."""
    reasons = (*choice.reasons, *trained.reasons)
    if trained.found is None:
        error = trained.error or (choice.error if choice.model is None else None)
        return replace(choice, reasons=reasons, verdict=trained.verdict, error=error, trained=trained.trained)
    found = trained.found
    return Choice(choice.name, found.version, found.model, reasons, "", True, trained.verdict)


def _duration(value: timedelta | str | None) -> timedelta | None:
    """A positive duration. Raises ``ConfigError``."""
    if value is None:
        return None
    try:
        span = pd.Timedelta(value) if isinstance(value, (str, timedelta)) else None
    except ValueError:
        span = None
    if span is None or pd.isna(span) or span <= pd.Timedelta(0):
        raise ConfigError(
            f"refresh_after={printable(value)} is not a positive duration. Use '7D', '12h' or a timedelta."
        )
    return span.to_pytimedelta()
