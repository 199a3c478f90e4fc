"""The list of what a folder has published of one job: the truth about its versions, written last."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from forecast import atomic
from forecast.batch import points
from forecast.batch.form import Form
from forecast.batch.key import Publication
from forecast.batch.sinks.names import slot_name
from forecast.errors import FencedError, StorageError, printable

# The underscore keeps it out of the way of pd.read_parquet(folder), which would take it for a Parquet file.
NAME = "_manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class Version:
    """One committed run.

    Attributes:
        run, slot, version, token, cutoff: of its publication; ``cutoff`` is a whole number or ISO text.
        file: where its rows are, relative to the sink's folder, with ``/`` between the parts.
        sha256, size, rows: of that file; ``size`` in bytes.
        form: its columns and types.
        escaped: whether text that a spreadsheet would run was escaped.
    """

    run: str
    slot: str
    version: int
    token: int
    cutoff: int | str
    file: str
    sha256: str
    size: int
    rows: int
    form: Form
    escaped: bool

    def facts(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**vars(self), "form": self.form.facts()}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Version:
        """What :meth:`facts` told."""
        return cls(**{**facts, "form": Form.from_facts(facts["form"])})


@dataclass(frozen=True)
class Slot:
    """All versions of one slot. ``current`` is the run that readers get, ``token`` the highest seen."""

    current: str
    token: int
    versions: Mapping[str, Version] = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """What is published of ``job``: name of the slot -> its versions."""

    job: str
    slots: Mapping[str, Slot] = field(default_factory=dict)

    def known(self, publication: Publication) -> Version | None:
        """The version that ``publication`` became when it was committed before."""
        slot = self.slots.get(slot_name(publication.slot))
        return slot.versions.get(publication.run) if slot else None

    def check_token(self, publication: Publication) -> None:
        """Raise ``FencedError`` when somebody with a higher token has published this slot."""
        slot = self.slots.get(slot_name(publication.slot))
        if slot and publication.token < slot.token:
            raise FencedError(fenced_text(publication, slot.token))

    def made_current(self, publication: Publication, version: Version) -> Manifest:
        """With ``version`` as what readers get for its slot; itself when that is so already."""
        name = slot_name(publication.slot)
        old = self.slots.get(name, Slot(version.run, publication.token))
        versions = old.versions if version.run in old.versions else {**old.versions, version.run: version}
        new = Slot(version.run, max(old.token, publication.token), versions)
        return self if self.slots.get(name) == new else replace(self, slots={**self.slots, name: new})

    def chosen(self, runs: list[str] | None) -> list[Version]:
        """The current version of each slot, or those of ``runs``, in the order of slots and versions.

        Raises ``StorageError`` for a run that is not there.
        """
        # Without the Z a slot comes before those of the same second with microseconds.
        ordered = [self.slots[name] for name in sorted(self.slots, key=lambda name: name.rstrip("Z"))]
        if runs is None:
            return [slot.versions[slot.current] for slot in ordered]
        every = [v for slot in ordered for v in sorted(slot.versions.values(), key=lambda v: v.version)]
        refuse_unknown(self.job, runs, {version.run for version in every})
        wanted = set(runs)
        return [version for version in every if version.run in wanted]

    def text(self) -> str:
        """The manifest as JSON with its checksum."""
        slots = {
            name: {
                "current": slot.current,
                "token": slot.token,
                "versions": [version.facts() for version in slot.versions.values()],
            }
            for name, slot in sorted(self.slots.items())
        }
        facts = {"format": FORMAT, "job": self.job, "slots": slots}
        return json.dumps({**facts, "checksum": _checksum(facts)}, indent=1, allow_nan=False) + "\n"


def fenced_text(publication: Publication, token: int) -> str:
    """The words for a publication that came too late."""
    return (
        f"Run {publication.run} of {printable(publication.job)} at {publication.slot.isoformat()} has the fencing "
        f"token {publication.token}, and one with {token} has published since. Nothing of it is published."
    )


def refuse_unknown(job: str, runs: list[str], known: set[str]) -> None:
    """Raise ``StorageError`` unless all ``runs`` are ``known``."""
    unknown = next((run for run in runs if run not in known), None)
    if unknown is not None:
        raise StorageError(
            f"No run {printable(unknown)} of job {printable(job)} was published here. `forecast runs list` shows those "
            "there are."
        )


def load(path: Path, job: str | None = None) -> Manifest:
    """The manifest at ``path`` of ``job`` (of any with ``None``), empty when there is none.

    Raises ``StorageError`` for a damaged one, for one of another job, and for one of a newer version.
    """
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        told = facts.pop("checksum")
        newer = facts["format"] > FORMAT
        if not newer and told != _checksum(facts):
            raise ValueError("its checksum does not match")
    except FileNotFoundError:
        return Manifest(job or "")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise StorageError(
            f"{printable(str(path), 400)} is damaged ({printable(str(error))}). Put back a copy of it; the forecasts "
            "themselves are in _versions."
        ) from error
    if newer:
        raise StorageError(f"{printable(str(path), 400)} was written by a newer version of this package. Install that.")
    if job is not None and facts["job"] != job:  # on a disk that takes A and a for the same
        raise StorageError(
            f"{printable(str(path), 400)} belongs to job {printable(facts['job'])}. Rename one of the two jobs."
        )
    return Manifest(facts["job"], {name: _slot(slot) for name, slot in facts["slots"].items()})


def _slot(facts: Mapping[str, Any]) -> Slot:
    versions = [Version.from_facts(version) for version in facts["versions"]]
    return Slot(facts["current"], facts["token"], {version.run: version for version in versions})


@contextmanager
def saving(path: Path, manifest: Manifest) -> Iterator[None]:
    """Have the text of ``manifest`` durable beside ``path`` during the block; the block's end makes it the manifest.

    So whatever the block shows to readers is not held up by a disk that is full.
    """
    with atomic.replacing(path) as temporary:
        with temporary.open("r+b") as file:
            file.write(manifest.text().encode())
            file.flush()
            os.fsync(file.fileno())
        points.reached("sink.manifest.ready")
        yield
    points.reached("sink.manifest.named")


def cutoff_fact(publication: Publication) -> int | str:
    """The cutoff for JSON."""
    return publication.cutoff.isoformat() if isinstance(publication.cutoff, datetime) else int(publication.cutoff)


def _checksum(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
