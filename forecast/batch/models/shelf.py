"""The versions of a job's models on disk: folders that appear whole, never change and go at once."""

from __future__ import annotations

import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from forecast.artifact import read_manifest
from forecast.atomic import sync_folder
from forecast.batch.models.journal import VERSION, check_version
from forecast.batch.models.kept import Kept, model_hash
from forecast.batch.points import reached
from forecast.errors import ArtifactError, printable


class Saving(Protocol):
    """What can be published: a :class:`~forecast.batch.models.kept.Kept` model or a fitted ``Forecaster``."""

    def save(self, folder: str | Path) -> Path:
        """Write it to ``folder``."""
        ...


@dataclass(frozen=True)
class Shelf:
    """The folder ``root`` with one folder for each version, named by the hash of the model in it.

    Names that begin with a dot are drafts, and what has been taken away. Writers must take turns: that is up to the
    owner of the shelf.
    """

    root: Path

    def names(self) -> set[str]:
        """The versions that are there, whole or not."""
        there = self.root.iterdir() if self.root.is_dir() else ()
        return {path.name for path in there if VERSION.fullmatch(path.name)}

    def load(self, version: str) -> Kept:
        """One version. Raises ``ArtifactError`` for one that is missing, damaged, foreign or not what its name says."""
        place = self._place(version)
        if place.is_symlink() or not place.is_dir():
            raise ArtifactError(f"version {version} is not in {printable(str(self.root), 200)}.")
        try:
            if model_hash(read_manifest(place)) != version:
                raise ArtifactError(f"{printable(str(place), 200)} holds another model than its name says.")
            return Kept.load(place)
        except OSError as error:
            raise ArtifactError(f"{printable(str(place), 200)} cannot be read ({error.strerror}).") from error

    def add(self, model: Saving) -> str:
        """Put ``model`` on the shelf, by one rename once all of it is on disk and can be loaded; gives its name.

        A whole version of that name stays as it is; a damaged one makes room. Raises ``ArtifactError`` for what could
        not be loaded again, ``OSError`` when the disk refuses.
        """
        draft = self.root / f".{uuid.uuid4().hex}"
        reached("models.save")
        model.save(draft)
        version = model_hash(read_manifest(draft))
        Kept.load(draft)
        reached("models.saved")
        try:
            self.load(version)
        except ArtifactError:
            self._take_away(version)
            os.replace(draft, self._place(version))
        sync_folder(self.root)
        reached("models.placed")
        self.sweep()
        return version

    def remove(self, version: str) -> None:
        """Take ``version`` away, at once: nobody reads half of it."""
        self._take_away(version)
        reached("models.removed")
        self.sweep()

    def sweep(self) -> None:
        """Delete drafts of the dead and what was taken away."""
        for path in self.root.glob(".*"):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def _place(self, version: str) -> Path:
        check_version(version)
        return self.root / version

    def _take_away(self, version: str) -> None:
        place = self._place(version)
        if place.is_symlink() or place.exists():
            os.replace(place, self.root / f".{uuid.uuid4().hex}")
