"""The models of a job: every version whole and unchanged, and an account of which was current when."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from forecast.atomic import locked, sync_folder
from forecast.batch.models.journal import Entry, Journal, Kind, read_journal, write_journal
from forecast.batch.models.kept import Kept
from forecast.batch.models.shelf import Saving, Shelf
from forecast.errors import ArtifactError, ConfigError, printable

MOST_SHOWN = 300
LONGEST_REASON = 2000


@dataclass(frozen=True)
class Found:
    """A version that could be loaded; ``reason`` says why it is not the current one, where it is not."""

    version: str
    model: Kept
    reason: str = ""


def now() -> datetime:
    """The time, aware, in UTC."""
    return datetime.now(UTC)


class ModelStore:
    """The models of one job, in ``folder``.

    ``versions/<id>/`` is what ``Forecaster.save`` writes, never changed once it is there; the id is the hash of the
    model (:func:`~forecast.batch.models.kept.model_hash`). ``current.json`` says which of them is current, which were
    before, why and since when. A version becomes visible by one rename after every byte of it is on disk, the current
    one changes by one rename of that file: whoever looks, or dies, in between finds the old state or the new one.

    Which version is current depends on the slot that asks: a run for a slot in the past uses what had been promoted
    by then, so that a backfill equals the runs of those days. Writers take turns by a lock of the kernel's.

    Args:
        folder: its place; made when something is first published.
        clock: gives the time, aware, in UTC; it is noted, and decides nothing.
    """

    def __init__(self, folder: str | Path, *, clock: Callable[[], datetime] = now) -> None:
        self.folder = Path(folder)
        self.clock = clock
        self._shelf = Shelf(self.folder / "versions")

    def __repr__(self) -> str:
        return f"ModelStore({printable(str(self.folder), 200)})"

    def journal(self) -> Journal:
        """What has happened. Raises ``ArtifactError`` when the account is damaged beyond its copy."""
        return read_journal(self.folder)[0]

    def publish(self, model: Saving, facts: Mapping[str, Any] | None = None) -> str:
        """Put a version on disk, complete and checked, without making it the current one; gives its id.

        A version that is there already is left alone, unless it is damaged: then it is replaced. Raises
        ``ArtifactError`` for what could not be loaded again, ``OSError`` when the disk refuses.
        """
        with self._writing():
            version = self._shelf.add(model)
            journal = self.journal()
            if not any(entry.kind == "published" and entry.version == version for entry in journal.entries):
                self._add(journal, Entry("published", self.clock(), None, version, "", dict(facts or {})))
        return version

    def promote(
        self, version: str, *, slot: datetime | None = None, reason: str = "", facts: Mapping[str, Any] | None = None
    ) -> None:
        """Make ``version`` the current one from ``slot`` on; from the latest slot on by default.

        Raises ``ArtifactError`` when it is not there or cannot be loaded.
        """
        with self._writing():
            self._shelf.load(version)
            journal = self.journal()
            since = slot or journal.latest_slot() or self.clock()
            self._add(journal, Entry("promoted", self.clock(), since, version, reason, dict(facts or {})))

    def note(self, kind: Kind, slot: datetime, reason: str, facts: Mapping[str, Any] | None = None) -> None:
        """Put on record that a challenger was ``refused``, or that training ``failed``. Nothing else changes."""
        with self._writing():
            self._add(self.journal(), Entry(kind, self.clock(), slot, None, reason, dict(facts or {})))

    def rollback(self, reason: str = "") -> str:
        """Withdraw the current version, for every slot, and go back to the one before; gives the id of that.

        Raises ``ArtifactError`` when there is none before it that can be loaded; then nothing is changed.
        """
        with self._writing():
            journal = self.journal()
            promotions = journal.promotions()
            current = promotions[0].version if promotions else None
            before, problems = self._first_good(promotions, besides=(current,))
            if current is None or before is None:
                why = "; ".join(problems) or ("there is none at all" if current is None else f"{current} is the first")
                raise ArtifactError(f"{self} has no version to go back to: {why}. Train anew, or promote another one.")
            entry = Entry("withdrawn", self.clock(), journal.latest_slot(), current, reason or "rolled back")
            self._add(journal, entry)
        return before.version

    def current(self, slot: datetime | None = None) -> Found | None:
        """The version in force at ``slot`` (now, by default), loaded; ``None`` when there is none yet.

        When it is missing, damaged or of a newer format, the last good one before it, with the reason. Raises
        ``ArtifactError`` when there are versions and none can be loaded.
        """
        with self._reading():
            journal, note = read_journal(self.folder)
            promotions = journal.promotions(slot)
            found, problems = self._first_good(promotions)
        if found is None and promotions:
            raise ArtifactError(f"No version in {self} can be loaded: {'; '.join(problems)}")
        if found is None:
            return None
        if problems:
            problems.append(f"version {found.version}, the last good one before, is used instead.")
        return replace(found, reason=" ".join([note, *problems]).strip())

    def last_good(self, slot: datetime | None = None, besides: Collection[str | None] | None = None) -> Found | None:
        """The latest version promoted by ``slot`` that can be loaded and is not among ``besides``: the current one."""
        with self._reading():
            journal = self.journal()
            skipped = (journal.current(slot),) if besides is None else besides
            return self._first_good(journal.promotions(slot), besides=skipped)[0]

    def load(self, version: str) -> Kept:
        """One version. Raises ``ArtifactError`` for one that is missing, damaged, foreign or not what its id says."""
        with self._reading():
            return self._shelf.load(version)

    def versions(self) -> list[str]:
        """The versions on disk, whole or not, the one mentioned last first."""
        there = self._shelf.names()
        mentioned = [version for version in self.journal().mentioned() if version in there]
        return [*mentioned, *sorted(there.difference(mentioned))]

    def describe(self) -> dict[str, Any]:
        """Plain facts: the current version, the last good one, what became of each version, what is wrong."""
        from forecast.batch.models.describe import described

        return described(self, *read_journal(self.folder))

    def prune(self, keep: int = 5) -> list[str]:
        """Remove all but the ``keep`` versions mentioned last; gives those removed.

        Never the current one, nor the last good one, nor the one before that, which stands in when it breaks.
        Raises ``ConfigError`` for a negative number.
        """
        if keep < 0:
            raise ConfigError(f"keep={keep}: how many versions to keep is at least 0.")
        with self._writing():
            journal = self.journal()
            promotions = journal.promotions()
            safe = {journal.current()}
            for _ in range(2):
                found = self._first_good(promotions, besides=safe)[0]
                safe |= {found.version} if found is not None else set()
            removed = [version for version in self.versions()[keep:] if version not in safe]
            for version in removed:
                self._shelf.remove(version)
            self._shelf.sweep()
        return removed

    def _first_good(
        self, promotions: list[Entry], besides: Collection[str | None] = ()
    ) -> tuple[Found | None, list[str]]:
        """The first of ``promotions`` that can be loaded, and what is wrong with those before it."""
        problems: dict[str, str] = {}
        for entry in promotions:
            if entry.version is None or entry.version in besides or entry.version in problems:
                continue
            try:
                return Found(entry.version, self._shelf.load(entry.version)), list(problems.values())
            except ArtifactError as error:
                problems[entry.version] = f"version {entry.version} cannot be used: {printable(str(error), MOST_SHOWN)}"
        return None, list(problems.values())

    def _add(self, journal: Journal, entry: Entry) -> None:
        if entry.slot is not None and entry.slot.tzinfo is None:
            raise ConfigError(f"slot={entry.slot} has no time zone. Slots are aware, in UTC.")
        moment = None if entry.slot is None else entry.slot.astimezone(UTC)
        write_journal(self.folder, journal.plus(replace(entry, slot=moment, reason=entry.reason[:LONGEST_REASON])))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if not self._shelf.root.is_dir():
            self._shelf.root.mkdir(parents=True, exist_ok=True)
            sync_folder(self.folder)
            sync_folder(self.folder.parent)
        with locked(self.folder):
            yield

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Nobody removes what is being read."""
        if not self.folder.is_dir():
            yield
            return
        with locked(self.folder, shared=True):
            yield
