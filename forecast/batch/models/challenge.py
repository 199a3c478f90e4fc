"""One refresh: a challenger is trained, judged and, if it passes, published and promoted."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from forecast.baselines.local import LocalFitted
from forecast.batch.models.failures import FAILURES, in_words
from forecast.batch.models.gate import Gate, Verdict, unjudged
from forecast.batch.models.kept import Kept, sample_of
from forecast.batch.models.store import Found, ModelStore
from forecast.batch.points import reached
from forecast.errors import ForecastError, StorageError
from forecast.forecasts import check_reach
from forecast.model import Continuing, Fitted, Model, Task, check_features
from forecast.panel.calendar import with_calendar
from forecast.panel.fill import as_models_see, given_to
from forecast.panel.panel import Panel


@dataclass(frozen=True)
class Trained:
    """What came of a training: a new version, or the reasons why there is none."""

    found: Found | None
    reasons: tuple[str, ...]
    verdict: Verdict | None = None
    error: Exception | None = None
    trained: bool = True


@dataclass(frozen=True)
class Challenge:
    """How to make a challenger: what is trained, by which gate it is judged, whether it starts warm."""

    name: str
    model: Model
    recipe: str
    gate: Gate | None
    warm_start: bool

    def run(
        self, store: ModelStore, panel: Panel, task: Task, slot: datetime, found: Found | None, why: str
    ) -> Trained:
        """Train on ``panel`` for ``slot``; ``found`` is the version to beat. Never raises for a failed training."""
        if not len(panel):
            return Trained(None, (f"{why}, but no series is fit to learn from",), trained=False)
        reached("models.train")
        try:
            verdict, fitted = self._fitted(panel, task, found)
            if fitted is None:
                return self._refused(store, slot, why, verdict)
            kept = Kept(self.name, self.model, fitted, task, sample_of(panel))
            return self._promoted(store, kept, slot, why, verdict)
        except FAILURES as error:
            return _failed(store, slot, why, error, found)

    def _fitted(self, panel: Panel, task: Task, found: Found | None) -> tuple[Verdict, Fitted | None]:
        """The verdict on the recipe and, if it passed, the model trained by it on all rows."""
        check_reach(panel, task.h)
        panel = with_calendar(panel, task.h)
        check_features({self.name: self.model}, panel)
        verdict = self._judged(panel, task, found)
        if not verdict.passed:
            return verdict, None
        reached("models.passed")
        begun = self._begun(found)
        return verdict, begun.fit(given_to(begun, panel, as_models_see(panel)), task)

    def _judged(self, panel: Panel, task: Task, found: Found | None) -> Verdict:
        if self.gate is None:
            return Verdict(True, "not judged: the job has no gate")
        incumbent = None if found is None else found.model
        since = None
        if incumbent is not None and not isinstance(incumbent.fitted, LocalFitted):
            since = incumbent.trained_until(panel.timeline)
            if since is None:
                return unjudged("the current version was trained on another kind of times", first=False)
        exam = self.gate.exam(panel, task, since)
        if isinstance(exam, str):
            return unjudged(exam, first=incumbent is None)
        trial = self._begun(found).fit(exam.past, task)
        reached("models.tried")
        return self.gate.judge(exam, trial, None if incumbent is None else incumbent.fitted)

    def _begun(self, found: Found | None) -> Model:
        """The model to train, from the weights of the version before where that is wanted and can be."""
        if self.warm_start and found is not None and isinstance(self.model, Continuing):
            return self.model.continued(found.model.fitted)
        return self.model

    def _refused(self, store: ModelStore, slot: datetime, why: str, verdict: Verdict) -> Trained:
        words = f"{why}: a challenger was trained and {verdict.reason}"
        store.note("refused", slot, words, self._facts(verdict))
        return Trained(None, (words,), verdict)

    def _promoted(self, store: ModelStore, kept: Kept, slot: datetime, why: str, verdict: Verdict) -> Trained:
        start = how_started(kept.fitted)
        facts = {**self._facts(verdict), **({"start": start} if start else {})}
        try:
            version = store.publish(kept, facts)
            reached("models.published")
            store.promote(version, slot=slot, reason=why, facts=facts)
            model = store.load(version)  # what is on disk is what forecasts, now and when the run is repeated
        except OSError as error:
            if isinstance(error, ForecastError):
                raise
            where = f"{error.strerror or error}, {store}"
            raise StorageError(f"the new model could not be kept ({where}). Make room, or mend the folder.") from error
        words = [f"{why}: version {version} was trained{f' ({start} start)' if start else ''} and {verdict.reason}"]
        return Trained(Found(version, model), tuple(words), verdict)

    def _facts(self, verdict: Verdict) -> dict[str, Any]:
        return {"recipe": self.recipe, "gate": verdict.facts()}


def how_started(fitted: Fitted) -> str:
    """``warm``, or ``cold: `` and why, for a model that was to begin warm; of an ensemble what its nets say."""
    members = getattr(fitted, "members", ())
    if members:
        texts = {member.name: how_started(member.fitted) for member in members}
        told = set(filter(None, texts.values()))
        return told.pop() if len(told) == 1 else "; ".join(f"{name} {text}" for name, text in texts.items() if text)
    history = getattr(fitted, "history", None)
    return str(history.get("start", "")) if isinstance(history, Mapping) else ""


def _failed(store: ModelStore, slot: datetime, why: str, error: Exception, found: Found | None) -> Trained:
    words = f"{why}, but training failed: {in_words(error)}"
    if found is not None:
        words += f" Version {found.version} stays."
    with suppress(OSError, ForecastError):  # the run goes on even where this cannot be written down
        store.note("failed", slot, words)
    return Trained(None, (words,), None, error)
