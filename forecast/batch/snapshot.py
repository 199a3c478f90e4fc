"""The rows of a run as they were read and checked, kept on disk, so that the next run need read only what is new."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from forecast import artifact
from forecast.batch.hashing import RowSums
from forecast.batch.marks import Mark
from forecast.batch.models.failures import FAILURES, in_words
from forecast.batch.points import reached
from forecast.batch.slotted import named, prune, slots_in, until
from forecast.batch.steps import Steps
from forecast.errors import ArtifactError, printable
from forecast.panel.panel import Panel
from forecast.persist import timeline_facts, versions
from forecast.saved_ids import ids_json, restored_ids
from forecast.timeline import fit_timeline

if TYPE_CHECKING:
    from forecast.batch.job import Job

KEPT = 2  # slots whose rows stay: those written last
FORMAT = 1
IDS = ("str", "int64")  # dtypes of ids that come back from JSON as they were


@dataclass(frozen=True)
class Snapshot:
    """Rows without a single fault, all of them known.

    Attributes:
        panel: every series, without static features: those are read anew each time.
        steps: how far apart the rows of each series are.
        sums: their hash, to be carried on.
        mark: what of the source they are.
        slot: the name of the slot of the run that kept them; empty for those of a run under way.
    """

    panel: Panel
    steps: Steps
    sums: RowSums
    mark: Mark
    slot: str = ""


@dataclass(frozen=True)
class Recalled:
    """The newest snapshot that can be used, or ``why`` there is none; ``notes`` on those that are damaged."""

    snapshot: Snapshot | None
    why: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Snapshots:
    """The snapshots of one job in ``folder``: ``<slot>/``, each a checksummed artefact.

    They save time and nothing else. One that is damaged, or of other settings, another source or other versions of the
    packages, is not used, and every row is read.
    """

    folder: Path

    @classmethod
    def of(cls, home: Path) -> Self:
        """Those of the job in ``home``."""
        return cls(home / "rows")

    def recall(self, job: Job, slot: datetime) -> Recalled:
        """The newest of ``slot`` or before: one of a later slot holds rows that nobody knew at ``slot``."""
        notes: list[str] = []
        facts, why = _facts(job), "no rows of a run before are kept"
        for place in until(self.folder, slot):
            try:
                saved = artifact.read(place)
                if {key: saved.facts.get(key) for key in facts} != facts:
                    why = why if notes else "settings, source or versions of the packages have changed"
                    continue
                return Recalled(_restored(saved, job, place.name), "", tuple(notes))
            except FAILURES as error:
                why = f"the rows kept at {place.name} are not used: {in_words(error)}"
                notes.append(f"{why} All rows are read again.")
        return Recalled(None, why, tuple(notes))

    def keep(self, snapshot: Snapshot, job: Job, slot: datetime) -> None:
        """Put down what a run for ``slot`` has read, and forget all but a few slots.

        Raises ``ArtifactError`` and ``OSError``; then nothing has changed but that fewer snapshots may be there.
        """
        panel = snapshot.panel
        own = {
            "timeline": timeline_facts(panel.timeline),
            "origin": int(panel.timeline.stamps(panel.first[:1])[0].astype("datetime64[us]").astype(np.int64)),
            "sums": snapshot.sums.facts(),
            "mark": snapshot.mark.facts(),
        }
        arrays = {
            "ids": np.frombuffer(ids_json(panel.ids), dtype=np.uint8),
            "values": panel.values,
            "offsets": panel.offsets,
            "first": panel.first,
            **{f"steps.{name}": array for name, array in vars(snapshot.steps).items()},
        }
        reached("rows.save")
        artifact.write(self.folder / named(slot), artifact.Artifact({**_facts(job), **own}, {"rows": arrays}))
        reached("rows.saved")
        prune(slots_in(self.folder), KEPT, self.folder)
        reached("rows.pruned")


def _facts(job: Job) -> dict[str, Any]:
    """What a snapshot must be of to be used."""
    source = job.source.describe()
    return {"kind": "rows", "format": FORMAT, "config": job.config_hash, "source": source, "versions": versions()}


def _restored(saved: artifact.Artifact, job: Job, slot: str) -> Snapshot:
    """Raises errors of any kind for what is no snapshot of ours."""
    facts, arrays = saved.facts, dict(saved.arrays["rows"])
    origin = np.array([facts["origin"]], dtype="datetime64[us]")
    timeline = fit_timeline(job.freq, origin, facts["timeline"]["tz"])
    if timeline_facts(timeline) != facts["timeline"]:
        raise ArtifactError(f"they are on another grid, {printable(str(facts['timeline']), 200)}.")
    ids: pd.Index = restored_ids(arrays.pop("ids")).rename(job.schema.id_col)
    steps = Steps(**{name: arrays.pop(f"steps.{name}") for name in Steps.__dataclass_fields__})
    panel = Panel(ids, arrays["values"], arrays["offsets"], arrays["first"], timeline, job.schema)
    if len(panel.offsets) != len(ids) + 1 or int(panel.offsets[-1]) != len(panel.values) or len(steps.rows) != len(ids):
        raise ArtifactError("their parts do not fit together.")
    return Snapshot(panel, steps, RowSums.from_facts(facts["sums"]), Mark.from_facts(facts["mark"]), slot)
