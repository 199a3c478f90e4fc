"""Folders named after slots, of which only those written last are kept."""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from forecast import artifact

SLOT = "%Y%m%dT%H%M%S.%fZ"
NAMED = re.compile(r"\d{8}T\d{6}\.\d{6}Z")


def named(slot: datetime) -> str:
    """Names that sort as the slots do."""
    return slot.astimezone(UTC).strftime(SLOT)


def folders(folder: Path) -> Iterator[Path]:
    """The plain folders in ``folder``, hidden ones left out; none where there is no such folder."""
    with suppress(OSError):
        yield from (p for p in list(folder.iterdir()) if p.is_dir() and not p.is_symlink() and p.name[0] != ".")


def slots_in(folder: Path) -> Iterator[Path]:
    """The folders of slots in ``folder``."""
    return (place for place in folders(folder) if NAMED.fullmatch(place.name))


def until(folder: Path, slot: datetime) -> list[Path]:
    """The folders in ``folder`` of ``slot`` and of slots before, newest first."""
    last = named(slot)
    return sorted((place for place in slots_in(folder) if place.name <= last), reverse=True)


def prune(there: Iterable[Path], keep: int, home: Path) -> None:
    """Remove all of ``there``, artefacts below ``home``, but the ``keep`` written last.

    Others may do the same at the same time.
    """
    for place in sorted(there, key=_written, reverse=True)[keep:]:
        with suppress(OSError):  # at once: nobody reads half of it
            os.replace(place, home / f".{uuid.uuid4().hex}")
    for gone in home.glob(".*"):
        shutil.rmtree(gone, ignore_errors=True)


def _written(place: Path) -> int:
    """When an artefact was written last, as the file system says."""
    manifest = place / artifact.MANIFEST
    try:
        return (manifest if manifest.exists() else place).stat().st_mtime_ns
    except OSError:
        return 0
