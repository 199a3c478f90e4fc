"""Forecasts that could not be delivered wait on local disk until the sink can be reached again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from forecast import atomic
from forecast.batch import points
from forecast.batch.form import Form
from forecast.batch.key import Publication
from forecast.batch.protocols import Confirm, Sink, Staged
from forecast.batch.sinks import durable
from forecast.batch.sinks.columnar import Parquet
from forecast.batch.sinks.manifest import cutoff_fact
from forecast.batch.sinks.names import slot_name
from forecast.batch.sinks.rows import prepared
from forecast.errors import AlreadyRunningError, FencedError, StorageError, UnreachableError, printable
from forecast.filenames import folder_name

FORMAT = 1
Claimed = Callable[[Publication], AbstractContextManager[tuple[Publication, Confirm]]]


@dataclass(frozen=True)
class Waiting:
    """A publication in the spool: ``note`` is its JSON file, ``rows`` the Parquet file beside it."""

    publication: Publication
    form: Form
    sha256: str
    note: Path
    rows: Path

    def frame(self) -> pd.DataFrame:
        """The forecasts as they were staged. Raises ``StorageError`` for a missing or damaged file."""
        if not self.rows.is_file() or durable.file_hash(self.rows) != self.sha256:
            raise StorageError(
                f"{printable(str(self.rows), 400)} is missing or damaged. Remove {self.note.name} beside it and "
                f"run the job again as of {self.publication.slot.isoformat()}."
            )
        return Parquet().read(self.rows, self.form)


@dataclass(frozen=True)
class Replayed:
    """What became of the spool.

    Attributes:
        delivered: publications that readers have now.
        fenced: those that came too late, because another run has published their slot since; they are dropped.
        left: those still in the spool, each with what stands in its way.
        damaged: what is wrong with notes that cannot be read.
    """

    delivered: tuple[Publication, ...] = ()
    fenced: tuple[Publication, ...] = ()
    left: tuple[tuple[Publication, str], ...] = ()
    damaged: tuple[str, ...] = ()


class Spool:
    """Staged publications kept in ``folder``, each a Parquet file and, written last, a JSON file with its checksum."""

    def __init__(self, folder: str | os.PathLike[str], patience: float = 60.0) -> None:
        self.folder, self.patience = Path(folder).absolute(), patience

    def keep(self, publication: Publication, form: Form, frame: pd.DataFrame) -> Waiting:
        """Keep forecasts for later, durably. Raises ``StorageError`` where that cannot be done."""
        frame = prepared(form, frame, nul=True)
        rows = self.folder / f"{_name(publication)}.parquet"
        needed = int(frame.memory_usage(deep=False).sum())
        durable.check_folders(self.folder)
        with atomic.as_storage_errors(rows, needed):
            durable.make_folders(self.folder)
            with atomic.locked(self.folder, patience=self.patience):
                draft = durable.Draft(rows)
                try:
                    Parquet().write(frame, draft.file, {})
                    draft.seal()
                    draft.publish()
                finally:
                    draft.discard()
                waiting = Waiting(publication, form, draft.sha256, rows.with_suffix(".json"), rows)
                points.reached("spool.rows.kept")
                atomic.write_text(waiting.note, _text(waiting))
        points.reached("spool.kept")
        return waiting

    def keep_staged(self, staged: Staged) -> Waiting:
        """:meth:`keep` for what a sink has staged but could not commit."""
        return self.keep(staged.publication, staged.form, staged.frame)

    def waiting(self) -> list[Waiting]:
        """What waits and can be read, in the order of jobs, slots and versions."""
        return self._notes()[0]

    def _notes(self) -> tuple[list[Waiting], tuple[str, ...]]:
        found, damaged = [], []
        with atomic.as_storage_errors(self.folder):
            for note in sorted(self.folder.glob("*.json")):
                try:
                    found.append(_read(note))
                except StorageError as error:
                    damaged.append(str(error))
        found.sort(key=lambda w: (w.publication.job, w.publication.slot, w.publication.version))
        return found, tuple(damaged)

    def replay(self, sink: Sink, claimed: Claimed) -> Replayed:
        """Deliver to ``sink`` all that waits, and drop from the spool what was delivered.

        ``claimed`` gives a context for a publication: in it the slot is this process's, and it yields the publication
        with the token of that claim and the ``confirm`` to hand to :meth:`.Sink.commit`. One that fails with
        ``StorageError`` or ``AlreadyRunningError`` stays and does not stop the others, unless the sink cannot be
        reached: then all others stay, too.
        """
        delivered, fenced, left = [], [], []
        notes, damaged = self._notes()
        away: UnreachableError | None = None
        for waiting in notes:
            try:
                if away is not None:
                    raise away
                with claimed(waiting.publication) as (publication, confirm):
                    sink.commit(sink.stage(publication, waiting.form, waiting.frame()), confirm)
                delivered.append(publication)
            except FencedError:
                fenced.append(waiting.publication)
            except (StorageError, AlreadyRunningError) as error:
                left.append((waiting.publication, str(error)))
                away = error if isinstance(error, UnreachableError) else away
                continue
            points.reached("spool.delivered")
            self.drop(waiting)
        return Replayed(tuple(delivered), tuple(fenced), tuple(left), damaged)

    def drop(self, waiting: Waiting) -> None:
        """Forget a publication: its note first, so that no note is ever without rows."""
        with atomic.as_storage_errors(waiting.note):
            waiting.note.unlink(missing_ok=True)
            atomic.sync_folder(self.folder)
            points.reached("spool.note.dropped")
            waiting.rows.unlink(missing_ok=True)

    def sweep(self) -> int:
        """Remove what dead runs left: temporary files, and rows without a note; returns how many."""
        if not self.folder.is_dir():
            return 0
        with atomic.as_storage_errors(self.folder), atomic.locked(self.folder, patience=self.patience):
            stray = [*self.folder.glob(".*.tmp")]
            stray += [rows for rows in self.folder.glob("*.parquet") if not rows.with_suffix(".json").exists()]
            for path in stray:
                path.unlink(missing_ok=True)
            return len(stray)


def _name(publication: Publication) -> str:
    return f"{folder_name(publication.job)}~{slot_name(publication.slot)}~{folder_name(publication.run)}"


def _text(waiting: Waiting) -> str:
    publication = waiting.publication
    facts = {
        "format": FORMAT,
        **vars(publication),
        "slot": publication.slot.isoformat(),
        "cutoff": cutoff_fact(publication),
        "form": waiting.form.facts(),
        "sha256": waiting.sha256,
    }
    return json.dumps({**facts, "checksum": _checksum(facts)}, indent=1) + "\n"


def _read(note: Path) -> Waiting:
    try:
        facts = json.loads(note.read_text(encoding="utf-8"))
        told = facts.pop("checksum")
        if told != _checksum(facts):
            raise ValueError("its checksum does not match")
        if facts.pop("format") > FORMAT:
            raise ValueError("a newer version of this package wrote it")
        form, sha256 = Form.from_facts(facts.pop("form")), facts.pop("sha256")
        cutoff = facts["cutoff"] if isinstance(facts["cutoff"], int) else pd.Timestamp(facts["cutoff"])
        slot = datetime.fromisoformat(facts["slot"])
        publication = Publication(**{**facts, "slot": slot, "cutoff": cutoff})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise StorageError(
            f"{printable(str(note), 400)} is damaged ({printable(str(error))}). Move it and the file of rows beside it "
            "away, and run that slot of the job again."
        ) from error
    return Waiting(publication, form, sha256, note, note.with_suffix(".parquet"))


def _checksum(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
