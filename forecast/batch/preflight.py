"""What can be known to fail is found out before hours of work: folders that cannot be written, disks without room."""

from __future__ import annotations

import shutil
from pathlib import Path

from forecast.atomic import as_storage_errors
from forecast.batch.form import Form
from forecast.batch.protocols import Sink
from forecast.batch.sinks import durable
from forecast.errors import StorageError, UnreachableError, printable

TEXT_BYTES = 40  # of a row's ids and notes
COMPRESSED = 0.5  # share of their size in memory that forecasts hardly ever exceed on disk


def check_home(home: Path) -> None:
    """Make the job's folder and see that it can be written. Raises ``StorageError``."""
    durable.check_folders(home)
    with as_storage_errors(home, 4096):
        durable.make_folders(home)
        durable.probe(home)


def check_sink(sink: Sink, form: Form, rows: int, home: Path) -> UnreachableError | None:
    """See that the sink takes ``rows`` forecasts of ``form``; gives the error of one that is only away for now.

    Raises ``StorageError`` for a sink that does not fit or cannot be written, and where there is no room.
    """
    needed = int(rows * (8 * (len(form.outputs) + 3) + TEXT_BYTES) * COMPRESSED)
    for place in (getattr(sink, "path", None), home):
        if isinstance(place, Path):
            _check_room(place, needed)
    try:
        sink.check(form)
    except UnreachableError as error:
        return error
    return None


def _check_room(place: Path, needed: int) -> None:
    there = next((folder for folder in (place, *place.absolute().parents) if folder.exists()), Path("."))
    free = shutil.disk_usage(there).free
    if free < needed:
        raise StorageError(
            f"{printable(str(place), 300)}: the forecasts need about {needed:,} bytes, {free:,} are free there. Make "
            "room, or choose another folder."
        )
