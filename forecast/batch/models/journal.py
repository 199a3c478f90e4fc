"""Which model was current when: an account of every publication, promotion, refusal and withdrawal.

One small file, ``current.json``, old or new and never half. Before each change a copy of it is kept in
``previous.json``, which stands in when the first is damaged.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from forecast.atomic import write_bytes
from forecast.batch.points import reached
from forecast.errors import ArtifactError, printable

FORMAT = 1
CURRENT, PREVIOUS = "current.json", "previous.json"
VERSION = re.compile(r"[0-9a-f]{16}")
LARGEST = 64 * 2**20
MOST_ENTRIES = 20_000

Kind = Literal["published", "promoted", "refused", "failed", "withdrawn"]


@dataclass(frozen=True)
class Entry:
    """One thing that happened.

    Attributes:
        kind: ``published`` (a version is complete on disk), ``promoted`` (it is the current one from ``slot`` on),
            ``refused`` (a challenger was trained and did not pass the gate), ``failed`` (training failed),
            ``withdrawn`` (rolled back: every promotion of this version up to here counts for nothing).
        at: when it happened by the clock, aware, UTC.
        slot: the slot of the run that did it, aware, UTC.
        version: the model concerned.
        reason: in words.
        facts: plain values: scores, settings.
    """

    kind: Kind
    at: datetime
    slot: datetime | None = None
    version: str | None = None
    reason: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Journal:
    """Entries in the order in which they happened."""

    entries: tuple[Entry, ...] = ()

    def promotions(self, slot: datetime | None = None) -> list[Entry]:
        """Promotions that count at ``slot`` (now, by default), the one in force first.

        A run sees what was promoted for its slot or an earlier one, whatever has happened since: a backfill uses no
        model of its future. What was withdrawn later counts for no slot.
        """
        withdrawn: set[str | None] = set()
        valid = []
        for number, entry in reversed(list(enumerate(self.entries))):
            if entry.kind == "withdrawn":
                withdrawn.add(entry.version)
            elif entry.kind == "promoted" and entry.version not in withdrawn and _by(entry, slot):
                valid.append((entry.slot, number, entry))
        return [entry for *_, entry in sorted(valid, key=lambda item: item[:2], reverse=True)]

    def current(self, slot: datetime | None = None) -> str | None:
        """The version in force at ``slot`` (now, by default)."""
        promotions = self.promotions(slot)
        return promotions[0].version if promotions else None

    def attempts(self, slot: datetime | None = None) -> list[Entry]:
        """Promotions and refusals up to ``slot``, latest slot first, withdrawn ones included."""
        found = [
            (entry.slot, number, entry)
            for number, entry in enumerate(self.entries)
            if entry.kind in ("promoted", "refused") and _by(entry, slot)
        ]
        return [entry for *_, entry in sorted(found, key=lambda item: item[:2], reverse=True)]

    def latest_slot(self) -> datetime | None:
        """The latest slot that any entry speaks of."""
        return max((entry.slot for entry in self.entries if entry.slot is not None), default=None)

    def mentioned(self) -> list[str]:
        """Every version, the one mentioned last first."""
        return list(dict.fromkeys(entry.version for entry in reversed(self.entries) if entry.version is not None))

    def plus(self, entry: Entry) -> Journal:
        """One entry more; of very many the oldest goes."""
        return replace(self, entries=(*self.entries, entry)[-MOST_ENTRIES:])

    def text(self) -> str:
        """JSON with a checksum over everything else."""
        body: dict[str, Any] = {
            "format": FORMAT,
            "current": self.current(),
            "entries": [
                {
                    "kind": entry.kind,
                    "at": entry.at.isoformat(),
                    "slot": None if entry.slot is None else entry.slot.isoformat(),
                    "version": entry.version,
                    "reason": entry.reason,
                    "facts": entry.facts,
                }
                for entry in self.entries
            ],
        }
        return json.dumps(body | {"checksum": _checksum(body)}, indent=1, allow_nan=False) + "\n"


def _by(entry: Entry, slot: datetime | None) -> bool:
    return entry.slot is not None and (slot is None or entry.slot <= slot)


def read_journal(folder: Path) -> tuple[Journal, str]:
    """The journal of a store, and in words what was wrong with it; nothing usually.

    A store without one is empty. Raises ``ArtifactError`` when both copies are damaged, and for a newer format.
    """
    path, spare = folder / CURRENT, folder / PREVIOUS
    if not path.exists() and not spare.exists():
        return Journal(), ""
    try:
        return parse(_bytes(path), path), ""
    except _Damaged as error:
        problem = str(error)
    try:
        journal = parse(_bytes(spare), spare)
    except _Damaged as error:
        raise ArtifactError(
            f"{problem} So is its copy: {error} Restore one of them from a backup; or remove both, and the next run "
            "trains a new model."
        ) from error
    return journal, f"{problem} {PREVIOUS}, its state before the last change, is used instead."


def write_journal(folder: Path, journal: Journal) -> None:
    """Make ``journal`` the one of the store, durably. A damaged one is never copied over a whole one."""
    path = folder / CURRENT
    reached("models.journal")
    if path.exists():
        old = _bytes(path)
        try:
            parse(old, path)
        except _Damaged:
            pass
        else:
            write_bytes(folder / PREVIOUS, old)
    reached("models.previous")
    write_bytes(path, journal.text().encode())
    reached("models.journalled")


class _Damaged(ArtifactError):
    """This copy cannot be read; another one might."""


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST:
            raise _Damaged(f"{printable(str(path), 200)} is larger than any that we write.")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise _Damaged(f"{printable(str(path), 200)} is missing.") from error
    except OSError as error:
        raise _Damaged(f"{printable(str(path), 200)} cannot be read ({error.strerror}).") from error


def parse(data: bytes, path: Path) -> Journal:
    """What :meth:`Journal.text` wrote. Raises ``ArtifactError``."""
    damaged = f"{printable(str(path), 200)} is damaged"
    try:
        body = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _Damaged(f"{damaged}: it is not JSON.") from error
    if not isinstance(body, dict) or not isinstance(body.get("format"), int):
        raise _Damaged(f"{damaged}: it names no format.")
    if body.pop("checksum", None) != _checksum(body):
        raise _Damaged(f"{damaged}: its checksum does not match.")
    if body["format"] != FORMAT:
        raise ArtifactError(
            f"{printable(str(path), 200)} has format {body['format']}, this version reads {FORMAT}. Use the version of "
            "the package that wrote it, or another folder."
        )
    try:
        return Journal(tuple(_entry(entry) for entry in body["entries"]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _Damaged(f"{damaged}: {printable(str(error))}.") from error


def _entry(given: dict[str, Any]) -> Entry:
    kind, version, facts, reason = given["kind"], given["version"], given["facts"], given["reason"]
    if kind not in get_args(Kind) or not isinstance(facts, dict) or not isinstance(reason, str):
        raise ValueError(f"an entry of kind {kind!r}")
    if version is not None:
        check_version(version)
    slot = None if given["slot"] is None else _instant(given["slot"])
    return Entry(kind, _instant(given["at"]), slot, version, reason, facts)


def check_version(version: object) -> None:
    """Raise ``ArtifactError`` for what cannot be the name of a version: it becomes part of a path."""
    if not isinstance(version, str) or not VERSION.fullmatch(version):
        raise ArtifactError(f"{printable(version)} is not the name of a version, which is 16 hex digits.")


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone, {text!r}")
    return moment.astimezone(UTC)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _checksum(body: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
