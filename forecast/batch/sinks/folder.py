"""A folder of Parquet or CSV files, one for each slot of a job, with every version kept behind them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from forecast.atomic import as_storage_errors, locked
from forecast.batch import points
from forecast.batch.form import Form
from forecast.batch.key import Publication
from forecast.batch.protocols import Confirm, Staged
from forecast.batch.sinks import durable, manifest
from forecast.batch.sinks.columnar import FORMATS
from forecast.batch.sinks.manifest import Manifest, Version
from forecast.batch.sinks.names import slot_name
from forecast.batch.sinks.rows import Piece, check_outputs, prepared, together
from forecast.errors import ConfigError, StorageError, printable
from forecast.filenames import folder_name

VERSIONS = "_versions"
PUBLIC = "forecasts"


@dataclass(frozen=True)
class Place:
    """Where a staged publication waits: its draft, already verified, and how many rows it has."""

    draft: durable.Draft
    rows: int


class FolderSink:
    """Forecasts as files below ``path``.

    ::

        sales/slot=20260301T040000Z/forecasts.parquet   what readers take, pd.read_parquet("…/sales") for all slots
        sales/_manifest.json                            which run each slot shows, with checksums; written last
        _versions/sales/20260301T040000Z/RUN.parquet    every version, never changed

    Args:
        path: the folder; made when missing. A symbolic link is refused.
        format: ``"parquet"`` or ``"csv"``.
        csv_safe: put a ``'`` before text in CSV that a spreadsheet would run as a formula; :meth:`read` takes it away.
        patience: seconds to wait for another process that commits to the same job.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        format: Literal["parquet", "csv"] = "parquet",
        csv_safe: bool = True,
        patience: float = 60.0,
    ) -> None:
        if format not in FORMATS:
            raise ConfigError(f"format={printable(format)}: choose one of {', '.join(FORMATS)}.")
        self.path, self.format, self.patience = Path(path).absolute(), format, patience
        self.escape = csv_safe and format == "csv"

    def check(self, form: Form) -> None:
        """See :meth:`forecast.batch.protocols.Sink.check`; makes the folder."""
        check_outputs(form)
        durable.check_folders(self.path, self.path / VERSIONS)
        with as_storage_errors(self.path, 4096):
            durable.make_folders(self.path)
            durable.probe(self.path)

    def stage(self, publication: Publication, form: Form, frame: pd.DataFrame) -> Staged:
        """See :meth:`forecast.batch.protocols.Sink.stage`: a verified temporary file beside its place."""
        frame = prepared(form, frame, nul=self.format == "parquet")
        target = self._file(publication.job, publication.slot, publication.run, FORMATS[self.format].suffix)
        needed = int(frame.memory_usage(deep=False).sum())
        with as_storage_errors(target, needed), ExitStack() as undo:
            self._make_folders(publication.job, publication.slot)
            with self._alone(publication.job):  # so that a sweep does not see the file before its lock
                draft = durable.Draft(target)
            undo.callback(draft.discard)
            points.reached("sink.draft.opened")
            self._write(draft, publication, form, frame)
            undo.pop_all()
        points.reached("sink.staged")
        return Staged(publication, form, frame, Place(draft, len(frame)))

    def _write(self, draft: durable.Draft, publication: Publication, form: Form, frame: pd.DataFrame) -> None:
        file_format = FORMATS[self.format]
        facts = {"forecast.job": publication.job, "forecast.run": publication.run}
        file_format.write(frame, draft.file, facts, self.escape)
        points.reached("sink.draft.written")
        draft.seal()
        found = file_format.rows(draft.path, form)
        if found != len(frame):
            raise StorageError(
                f"{draft.path.name}: {found:,} rows can be read of {len(frame):,} written. Check the disk."
            )

    def commit(self, staged: Staged, confirm: Confirm) -> None:
        """See :meth:`forecast.batch.protocols.Sink.commit`: version, public file, manifest, then ``confirm(None)``."""
        publication = staged.publication
        with as_storage_errors(self.path, 2**16), ExitStack() as undo:
            undo.callback(staged.place.draft.discard)  # does nothing to a file that got its name
            with self._alone(publication.job):
                self._commit(staged)
        points.reached("sink.committed")
        confirm(None)

    def _commit(self, staged: Staged) -> None:
        publication, draft = staged.publication, staged.place.draft
        old = self._manifest(publication.job)
        old.check_token(publication)
        version = old.known(publication)
        if version is None:
            draft.publish()
            version = self._version(staged)
        new = old.made_current(publication, version)
        if new is old:
            self._show(publication.job, publication.slot, version)
            return
        with manifest.saving(self._manifest_path(publication.job), new):
            self._show(publication.job, publication.slot, version)

    def read(self, job: str, runs: Sequence[str] | None = None, between: tuple[Any, Any] | None = None) -> pd.DataFrame:
        """See :meth:`forecast.batch.protocols.Sink.read`. Each file is checked against the manifest.

        Raises ``StorageError`` for a run that is not there and for a file that is missing or was changed.
        """
        with as_storage_errors(self.path):
            chosen = self._manifest(job).chosen(None if runs is None else list(runs))
            return together([self._piece(job, version, between) for version in chosen])

    def _piece(self, job: str, version: Version, between: tuple[Any, Any] | None = None) -> Piece:
        slot = datetime.fromisoformat(version.slot)
        path = self._file(job, slot, version.run, Path(version.file).suffix)
        way_out = "Put back a copy of it, or read other runs with runs=[…]."
        if not path.is_file():
            raise StorageError(f"{printable(str(path), 400)} is missing. {way_out}")
        if durable.file_hash(path) != version.sha256:
            raise StorageError(f"{printable(str(path), 400)} was changed after it was published. {way_out}")
        file_format = next(kind for kind in FORMATS.values() if kind.suffix == path.suffix)
        return Piece(version.run, slot, version.form, file_format.read(path, version.form, version.escaped, between))

    def sweep(self) -> int:
        """See :meth:`forecast.batch.protocols.Sink.sweep`; also shows again what the manifest says, if a run died
        between the two.
        """
        durable.check_folders(self.path)
        with as_storage_errors(self.path):
            jobs = [
                folder for folder in sorted(self.path.glob("[!_.]*")) if folder.is_dir() and not folder.is_symlink()
            ]
            removed = sum(self._swept(folder) for folder in jobs)
            return removed + _remove(self.path.glob(".*.tmp"))

    def _swept(self, folder: Path) -> int:
        with locked(folder, patience=self.patience):
            removed = _remove(folder.glob(".*.tmp")) + _remove(folder.glob("slot=*/.*.tmp"))
            removed += _remove((self.path / VERSIONS / folder.name).glob("*/.*.tmp"))
            if (folder / manifest.NAME).exists():
                told = manifest.load(folder / manifest.NAME)
                for version in told.chosen(None):
                    self._show(told.job, datetime.fromisoformat(version.slot), version)
            return removed

    def describe(self) -> dict[str, Any]:
        """See :meth:`forecast.batch.protocols.Sink.describe`."""
        return {"kind": "folder", "path": str(self.path), "format": self.format, "escaped": self.escape}

    def _version(self, staged: Staged) -> Version:
        publication, place = staged.publication, staged.place
        return Version(
            run=publication.run,
            slot=publication.slot.isoformat(),
            version=publication.version,
            token=publication.token,
            cutoff=manifest.cutoff_fact(publication),
            file=place.draft.target.relative_to(self.path).as_posix(),
            sha256=place.draft.sha256,
            size=place.draft.size,
            rows=place.rows,
            form=staged.form,
            escaped=self.escape,
        )

    def _show(self, job: str, slot: datetime, version: Version) -> None:
        suffix = Path(version.file).suffix
        folder = self._public(job, slot)
        durable.show(self._file(job, slot, version.run, suffix), folder / f"{PUBLIC}{suffix}")
        for other in {kind.suffix for kind in FORMATS.values()} - {suffix}:  # of before the format was changed
            (folder / f"{PUBLIC}{other}").unlink(missing_ok=True)

    def _public(self, job: str, slot: datetime) -> Path:
        return self.path / folder_name(job) / f"slot={slot_name(slot)}"

    def _file(self, job: str, slot: datetime, run: str, suffix: str) -> Path:
        return self.path / VERSIONS / folder_name(job) / slot_name(slot) / f"{folder_name(run)}{suffix}"

    def _manifest_path(self, job: str) -> Path:
        return self.path / folder_name(job) / manifest.NAME

    def _manifest(self, job: str) -> Manifest:
        return manifest.load(self._manifest_path(job), job)

    def _make_folders(self, job: str, slot: datetime) -> None:
        public, versions = self._public(job, slot), self._file(job, slot, "x", "").parent
        inner = (public, public.parent, versions, versions.parent, versions.parent.parent)
        durable.check_folders(self.path, *inner)
        for folder in (public, versions):
            durable.make_folders(folder)

    @contextmanager
    def _alone(self, job: str) -> Iterator[None]:
        with locked(self.path / folder_name(job), patience=self.patience):
            yield


def _remove(paths: Iterator[Path]) -> int:
    removed = 0
    for path in paths:
        if path.is_file() and not path.is_symlink() and durable.abandoned(path):
            path.unlink(missing_ok=True)
            removed += 1
    return removed
