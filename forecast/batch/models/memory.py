"""What a stateful model remembers from run to run: the state of every series, so that the next one reads new rows."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast import artifact
from forecast.batch.models.failures import FAILURES, in_words
from forecast.batch.points import reached
from forecast.batch.slotted import folders, named, prune, slots_in, until
from forecast.errors import ArtifactError, printable
from forecast.model import Advancing, Fitted, Prediction
from forecast.panel.panel import Panel
from forecast.persist import timeline_facts, versions
from forecast.saved_ids import ids_json, restored_ids
from forecast.timeline import Timeline

if TYPE_CHECKING:
    from forecast.training.stateful import FittedStateful
    from forecast.training.states import States

Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]

KEPT = 3  # slots whose states stay: those written last
READ, RESUMED = 1, 2


@dataclass
class Remembering:
    """A stateful model during one run: it goes on from states kept earlier and holds on to those that it gets to.

    It forecasts exactly what the model by itself does: a state is used for no series but one that begins with the very
    rows that it is of, whenever and from whatever rows it was made.

    Attributes:
        fitted: the model, with the states to go on from.
        ids: the series of the run, (S,).
        since: the slot that those states are of; empty for those that the model was saved with.
        notes: why kept states were not used.
    """

    fitted: FittedStateful
    ids: pd.Index
    since: str = ""
    notes: tuple[str, ...] = ()
    _found: npt.NDArray[np.int8] = field(init=False, repr=False)
    _parts: list[tuple[Int, States]] = field(init=False, repr=False, default_factory=list)

    def __post_init__(self) -> None:
        self._found = np.zeros(len(self.ids), dtype=np.int8)

    def predict(self, panel: Panel, h: int, probs: tuple[float, ...] = ()) -> Prediction:
        """As the model does."""
        now, resumed = self.fitted.caught_up(panel)
        prediction = now.predict(panel, h, probs)
        rows = self._rows(panel.ids)
        self._found[rows] = np.maximum(self._found[rows], np.where(resumed, RESUMED, READ))
        self._parts.append((rows, now.states))
        return prediction

    def describe(self) -> dict[str, Any]:
        """As the model does."""
        return self.fitted.describe()

    def counts(self, quarantined: Collection[Any] = ()) -> dict[str, int | str]:
        """How many series were ``resumed``, how many were known but ``read_again`` because rows of theirs have changed,
        and how many were ``new``; and the slot that they were gone on from."""
        asked = self._found > 0
        asked &= ~self.ids.isin(list(quarantined))
        read = asked & (self._found == READ)
        again = int((read & (self.fitted.states.ids.get_indexer(self.ids) >= 0)).sum())
        resumed = int((asked & (self._found == RESUMED)).sum())
        return {"resumed": resumed, "read_again": again, "new": int(read.sum()) - again, "since": self.since}

    def states(self, quarantined: Collection[Any] = ()) -> States:
        """Every series of the run as it stands now; as it stood before where it could not be read, or only rows in
        place of its own could, as of the ``quarantined``."""
        from forecast.training.states import gathered

        trusted = ~self.ids.isin(list(quarantined))
        before = self.fitted.states
        parts = [before, *(states for _, states in self._parts)]
        rows = np.concatenate([self._rows(before.ids), *(np.where(trusted[r], r, -1) for r, _ in self._parts)])
        known = np.flatnonzero(rows >= 0)
        newest = np.full(len(self.ids), -1, dtype=np.int64)
        newest[rows[known]] = known  # of several the last one stays
        return gathered(parts, newest[newest >= 0])

    def _rows(self, ids: pd.Index) -> Int:
        """The places of ``ids`` among the series of the run, -1 for others."""
        return self.ids.get_indexer(ids).astype(np.int64)


@dataclass(frozen=True)
class Memory:
    """States of one job's models in ``folder``: ``<model version>/<slot>/``, each a checksummed artefact.

    They save time and nothing else: what is missing, damaged or of another model, grid or package version is not used,
    and the model reads every row. Ensembles are not remembered: their members read every row in every run.
    """

    folder: Path

    @classmethod
    def of(cls, home: Path) -> Self:
        """That of the job in ``home``."""
        return cls(home / "states")

    def recall(self, fitted: Fitted, version: str, slot: datetime, panel: Panel) -> Remembering | None:
        """``fitted`` with its newest states of ``slot`` or before; ``None`` for a model that has no states.

        States of later slots are left alone: they could be of no use, as they have read more than is known at ``slot``.
        """
        if not isinstance(fitted, Advancing):
            return None
        from forecast.training.stateful import FittedStateful

        if not isinstance(fitted, FittedStateful):
            return None
        notes = []
        for place in until(self.folder / version, slot):
            try:
                states = _read(place, kept_facts("states", version, place.name, panel.timeline), fitted)
            except FAILURES as error:
                notes.append(f"the states of {place.name} are not used, so rows are read again: {in_words(error)}")
                continue
            return Remembering(replace(fitted, states=states, seen=None), panel.ids, place.name, tuple(notes))
        return Remembering(fitted, panel.ids, "", tuple(notes))

    def keep(self, states: States, version: str, slot: datetime, timeline: Timeline) -> None:
        """Put down ``states`` of the model ``version`` as they stand at ``slot``, and forget all but a few slots.

        Raises ``ArtifactError`` and ``OSError``; then nothing has changed but that fewer states may be there.
        """
        from forecast.training.saved_states import state_arrays

        place = self.folder / version / named(slot)
        arrays = {**state_arrays(states), "ids": np.frombuffer(ids_json(states.ids), dtype=np.uint8)}
        reached("memory.save")
        artifact.write(
            place, artifact.Artifact(kept_facts("states", version, place.name, timeline), {"states": arrays})
        )
        reached("memory.saved")
        prune_slots(self.folder)


def prune_slots(home: Path) -> None:
    """Remove all but a few slots of ``home/VERSION/``, those written last. Others may do the same at the same time."""
    prune([place for version in folders(home) for place in slots_in(version)], KEPT, home)
    reached("memory.pruned")
    for version in folders(home):
        with suppress(OSError):  # one that is not empty stays
            version.rmdir()


def _read(place: Path, facts: dict[str, Any], fitted: FittedStateful) -> States:
    """The states in ``place``. Raises errors of any kind for those that are not what ``facts`` say, or not whole."""
    from forecast.training.saved_states import restored_states

    arrays = kept_arrays(place, facts)
    return restored_states(arrays, restored_ids(arrays.pop("ids")), fitted.net, fitted.facts)


def kept_arrays(place: Path, facts: dict[str, Any]) -> dict[str, npt.NDArray[Any]]:
    """The arrays in ``place``. Raises ``ArtifactError`` and ``OSError`` for what ``facts`` do not say, or not whole."""
    saved = artifact.read(place)
    if saved.facts != facts:
        raise ArtifactError(f"{printable(str(place), 200)} is of another model, slot, grid or version of the packages.")
    return dict(saved.arrays["states"])


def kept_facts(kind: str, version: str, slot: str, timeline: Timeline) -> dict[str, Any]:
    """What states must be of to be used; other versions of the packages may round in another way."""
    return {
        "kind": kind,
        "model": version,
        "slot": slot,
        "timeline": timeline_facts(timeline),
        "versions": versions(),
    }
