"""The rows of a run as they were read and checked, kept on disk, so that the next run need read only what is new."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from forecast import artifact
from forecast.batch.hashing import RowSums
from forecast.batch.marks import Mark
from forecast.batch.models.failures import FAILURES, in_words
from forecast.batch.points import reached
from forecast.batch.slotted import named, prune, slots_in, until
from forecast.batch.steps import Steps
from forecast.errors import ArtifactError, printable
from forecast.panel.panel import Panel
from forecast.panel.spans import offsets_of, ranges
from forecast.persist import timeline_facts, versions
from forecast.saved_ids import ids_json, restored_ids
from forecast.timeline import fit_timeline

if TYPE_CHECKING:
    from forecast.batch.job import Job

Int = npt.NDArray[np.int64]
Float = npt.NDArray[np.float64]

KEPT = 2  # slots whose rows stay: those written last
GROWTH = 10  # a snapshot is written as a whole when the rows since the last such one are more than one in so many
FORMAT = 2
IDS = ("str", "int64")  # dtypes of ids that come back from JSON as they were


@dataclass(frozen=True)
class Base:
    """Rows that are on disk already, those that many series begin with.

    Attributes:
        folder: the snapshot that holds them.
        lengths: how many rows each of the first series of a panel begins with.
    """

    folder: Path
    lengths: Int


@dataclass(frozen=True)
class Snapshot:
    """Rows without a single fault, all of them known.

    Attributes:
        panel: every series, without static features: those are read anew each time.
        steps: how far apart the rows of each series are.
        sums: their hash, to be carried on.
        mark: what of the source they are.
        slot: the name of the slot of the run that kept them; empty for those of a run under way.
        base: those of the rows that are on disk, if any are.
    """

    panel: Panel
    steps: Steps
    sums: RowSums
    mark: Mark
    slot: str = ""
    base: Base | None = None


@dataclass(frozen=True)
class Recalled:
    """The newest snapshot that can be used, or ``why`` there is none; ``notes`` on those that are damaged."""

    snapshot: Snapshot | None
    why: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Snapshots:
    """The snapshots of one job in ``folder``: ``<slot>/``, each a checksummed artefact.

    A night adds little to what is there: old rows stay in the file that they are in, of which the next snapshot has a
    link, and new ones are written beside it, until there are many of them.

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
                return Recalled(_restored(saved, job, place), "", tuple(notes))
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
        base, lengths = snapshot.base, panel.lengths
        if base is not None and GROWTH * int(lengths.sum()) > (GROWTH + 1) * int(base.lengths.sum()):
            base = None
        begun = lengths if base is None else np.append(base.lengths, np.zeros(len(panel) - len(base.lengths), np.int64))
        new = panel.take(np.arange(len(panel) if base is None else len(base.lengths), len(panel)))
        groups = {
            "more": {
                "ids": np.frombuffer(ids_json(new.ids), dtype=np.uint8),
                "first": new.first,
                "lengths": lengths,
                "values": panel.slice(begun, lengths).values,
                **{f"steps.{name}": array for name, array in vars(snapshot.steps).items()},
            }
        }
        if base is None:
            ids = np.frombuffer(ids_json(panel.ids), dtype=np.uint8)
            groups["rows"] = {"ids": ids, "first": panel.first, "lengths": lengths, "values": panel.values}
        reached("rows.save")
        shared = {} if base is None else {"rows": base.folder}
        artifact.write(self.folder / named(slot), artifact.Artifact({**_facts(job), **own}, groups), shared)
        reached("rows.saved")
        prune(slots_in(self.folder), KEPT, self.folder)
        reached("rows.pruned")


def _facts(job: Job) -> dict[str, Any]:
    """What a snapshot must be of to be used."""
    source = job.source.describe()
    return {"kind": "rows", "format": FORMAT, "config": job.config_hash, "source": source, "versions": versions()}


def _restored(saved: artifact.Artifact, job: Job, place: Path) -> Snapshot:
    """Raises errors of any kind for what is no snapshot of ours."""
    facts, rows, more = saved.facts, saved.arrays["rows"], dict(saved.arrays["more"])
    origin = np.array([facts["origin"]], dtype="datetime64[us]")
    timeline = fit_timeline(job.freq, origin, facts["timeline"]["tz"])
    if timeline_facts(timeline) != facts["timeline"]:
        raise ArtifactError(f"they are on another grid, {printable(str(facts['timeline']), 200)}.")
    steps = Steps(**{name: more.pop(f"steps.{name}") for name in Steps.__dataclass_fields__})
    ids, new = restored_ids(rows["ids"]), restored_ids(more["ids"])
    ids = (ids.append(new) if len(new) else ids).rename(job.schema.id_col)
    first, lengths = np.append(rows["first"], more["first"]), more["lengths"]
    begun = np.append(rows["lengths"], np.zeros(len(new), np.int64))
    fits = len(ids) == len(first) == len(lengths) == len(begun) == len(steps.rows) and (lengths >= begun).all()
    if not fits or int(begun.sum()) != len(rows["values"]) or int((lengths - begun).sum()) != len(more["values"]):
        raise ArtifactError("their parts do not fit together.")
    if not ids.is_unique:
        raise ArtifactError("two series have one id.")
    offsets = offsets_of(lengths)
    values = _joined(rows["values"], more["values"], ranges(offsets[:-1] + begun, lengths - begun))
    panel = Panel(ids, values, offsets, first, timeline, job.schema)
    base = Base(place, rows["lengths"])
    return Snapshot(panel, steps, RowSums.from_facts(facts["sums"]), Mark.from_facts(facts["mark"]), place.name, base)


def _joined(old: Float, new: Float, at: Int) -> Float:
    """``old`` and ``new`` rows in one array, the new ones at the places ``at``."""
    if not len(new):
        return old
    values = np.empty(len(old) + len(new))
    kept = np.ones(len(values), dtype=bool)
    kept[at] = False
    values[kept], values[at] = old, new
    return values
