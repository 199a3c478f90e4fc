"""A folder that a file is put into every day, and nights of a job that reads it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecast.batch.files import FileSource
from forecast.batch.inputs import Inputs, read_inputs
from forecast.batch.job import Job
from forecast.batch.snapshot import Snapshots
from forecast.errors import DataError
from tests.batch.shop import sales_job

FIRST = pd.Timestamp("2026-01-01")
BEGUN = 30  # days in the first file
SHOPS = ("shop 0", "shop 1", "shop 2")


def slot(day: int) -> datetime:
    """The night after ``day`` days have passed."""
    return (FIRST + pd.Timedelta(days=day)).to_pydatetime().replace(tzinfo=UTC)


def rows_of(*days: int, shops: tuple[str, ...] = SHOPS, zone: str | None = None) -> pd.DataFrame:
    """A row for each shop and day, the same whenever it is asked for."""
    stamps = FIRST + pd.to_timedelta(days, unit="D")
    frames = []
    for shop in shops:
        level = 10.0 * (1 + int(shop.split()[1]))
        frames.append(pd.DataFrame({"unique_id": shop, "ds": stamps, "y": level + np.sin(np.array(days))}))
    frame = pd.concat(frames, ignore_index=True)
    return frame if zone is None else frame.assign(ds=frame["ds"].dt.tz_localize(zone))


class Drops:
    """A folder that a file is put into every day."""

    def __init__(self, folder: Path, ending: str = "parquet") -> None:
        self.folder, self.ending = folder, ending
        folder.mkdir(exist_ok=True)

    def put(self, name: str, frame: pd.DataFrame) -> Path:
        path = self.folder / f"{name}.{self.ending}"
        if self.ending == "parquet":
            frame.to_parquet(path, index=False)
        else:
            frame.to_csv(path, index=False)
        return path

    def begin(self, **options: Any) -> None:
        self.put("a-history", rows_of(*range(BEGUN), **options))

    def day(self, day: int, **options: Any) -> Path:
        """What arrives in the night after ``day``."""
        return self.put(f"day-{day:04d}", rows_of(day, **options))

    def source(self, **options: Any) -> FileSource:
        return FileSource(f"{self.folder}/*.{self.ending}", patience=0.0, **options)


def job_on(drops: Drops, folder: Path, incremental: bool = True, **changes: Any) -> Job:
    return sales_job(folder, source=drops.source(incremental=incremental, zone=changes.get("zone")), **changes)


def same_inputs(one: Inputs, two: Inputs) -> None:
    """To the last bit, apart from how they were read."""
    a, b = one.panel, two.panel
    assert a.ids.equals(b.ids) and a.ids.dtype == b.ids.dtype and a.ids.name == b.ids.name
    assert a.timeline == b.timeline and a.schema == b.schema
    for name in ("values", "offsets", "first"):
        left, right = getattr(a, name), getattr(b, name)
        assert left.dtype == right.dtype and left.tobytes() == right.tobytes(), name
    assert (one.digest, one.facts, one.notes) == (two.digest, two.facts, two.notes)
    assert one.quarantined == two.quarantined
    if a.static is not None or b.static is not None:
        assert a.static.names == b.static.names


def told_or_raised(read: Callable[[], Inputs]) -> Inputs | str:
    try:
        return read()
    except DataError as error:
        return str(error)


def night(job: Job, day: int, previous: pd.Index | None = None) -> Inputs | str:
    """The inputs of a run after ``day`` by what is kept, which are checked against those of a run that reads all.

    What the next run needs is kept. A fault of the whole frame is given in words, the same for both.
    """
    when, snapshots = slot(day + 1), Snapshots.of(job.home)
    kept = snapshots.recall(job, when)
    whole = told_or_raised(lambda: read_inputs(job, when, previous))
    inputs = told_or_raised(lambda: read_inputs(job, when, previous, kept))
    if isinstance(whole, str) or isinstance(inputs, str):
        assert whole == inputs
        return str(whole)
    same_inputs(inputs, whole)
    if inputs.snapshot is not None:
        snapshots.keep(inputs.snapshot, job, when)
    return inputs


def story(inputs: Inputs | str) -> dict[str, Any]:
    assert isinstance(inputs, Inputs)
    return dict(inputs.reading)
