"""Adaptive intervals of a job: what became of the forecasts of the runs before moves those of this one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecast import artifact
from forecast.batch.models.failures import FAILURES, in_words
from forecast.batch.models.memory import kept_arrays, kept_facts, prune_slots
from forecast.batch.points import reached
from forecast.batch.slotted import named, until
from forecast.errors import ArtifactError
from forecast.intervals.fitted import FittedCalibrated
from forecast.model import Fitted
from forecast.panel.calendar import with_calendar
from forecast.panel.panel import Panel
from forecast.saved_intervals import restored_trackers, tracker_arrays
from forecast.timeline import Timeline

if TYPE_CHECKING:
    from forecast.intervals.trackers import Trackers

KIND = "intervals"


@dataclass(frozen=True)
class Adapting:
    """A model with its intervals as they stand after the last rows of a run.

    Attributes:
        fitted: the model, ready to forecast these rows.
        trackers: the state that it was brought to.
        followed: how many of the run's series were gone on with; the others begin with the calibrated widths.
        since: the slot whose state it went on from; empty for the one that the model was saved with.
        notes: what went wrong.
    """

    fitted: FittedCalibrated
    trackers: Trackers
    followed: int
    since: str = ""
    notes: tuple[str, ...] = ()

    def counts(self) -> dict[str, int | str]:
        """Plain values for the ledger."""
        return {"followed": self.followed, "since": self.since}

    def keep(self, home: Path, version: str, slot: datetime, timeline: Timeline) -> str:
        """Put down the state of the model ``version`` as it stands at ``slot``, and forget all but a few slots.

        Returns why it is not kept; nothing is lost then but time: the next run goes on from an older one.
        """
        place = _folder(home) / version / named(slot)
        try:
            reached("memory.save")
            facts = kept_facts(KIND, version, place.name, timeline)
            artifact.write(place, artifact.Artifact(facts, {"states": tracker_arrays(self.trackers)}))
            reached("memory.saved")
            prune_slots(_folder(home))
        except (ArtifactError, OSError) as error:
            return f"the state of the intervals is not kept, the next run works it out again: {error}"
        return ""


def adapting(home: Path, fitted: Fitted, version: str, slot: datetime, panel: Panel) -> Adapting | None:
    """``fitted`` gone on from the newest state of ``slot`` or before to the last rows of ``panel``.

    ``panel`` holds the series whose rows can be trusted, as they are. ``None`` for a model whose intervals do not
    adapt. Does not raise for a model that fails on these rows: its intervals stay as they were then.
    """
    if not isinstance(fitted, FittedCalibrated) or fitted.trackers is None:
        return None
    trackers, since, notes = _recalled(home, fitted, fitted.trackers, version, slot, panel.timeline)
    gone_on = replace(fitted, trackers=trackers)
    known = np.asarray(trackers.places(panel.ids, panel.last) >= 0)
    try:
        gone_on = gone_on.advanced(with_calendar(panel, fitted.h))
    except FAILURES as error:
        notes = (*notes, f"the intervals stay as they were, the rows since cannot be judged: {in_words(error)}")
    return Adapting(gone_on, gone_on.trackers or trackers, int(known.sum()), since, notes)


def _recalled(
    home: Path, fitted: FittedCalibrated, own: Trackers, version: str, slot: datetime, timeline: Timeline
) -> tuple[Trackers, str, tuple[str, ...]]:
    """The newest state that can be used, else the model's ``own``; the slot that it is of; why newer ones cannot be."""
    notes: list[str] = []
    for place in until(_folder(home) / version, slot):
        try:
            arrays = kept_arrays(place, kept_facts(KIND, version, place.name, timeline))
            return restored_trackers(arrays, fitted.h, fitted.settings), place.name, tuple(notes)
        except FAILURES as error:
            notes.append(f"the state of the intervals of {place.name} is not used: {in_words(error)}")
    return own, "", tuple(notes)


def _folder(home: Path) -> Path:
    return home / "intervals"
