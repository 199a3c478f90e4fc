"""Runs that are killed at every point they reach: readers see old or new, and one more run makes it whole."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from forecast.batch.job import Job
from forecast.batch.ledger.ledger import Ledger
from forecast.batch.opening import open_job
from tests.batch.shop import sales

SLOT = "2026-04-01"


class Runner:
    """The process that forks runs, see :mod:`tests.batch.faulty_run`."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.batch.faulty_run"]
        root = Path(__file__).parents[2]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root)

    def __call__(self, job: Path, **order: Any) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps({"job": str(job), "as_of": SLOT, **order}) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    started = Runner()
    yield started
    started.process.communicate(timeout=60)


def new_job(folder: Path, **changes: Any) -> Path:
    """The file of a job that keeps everything in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    sales(days=100, series=3).to_csv(folder / "sales.csv", index=False)
    job = {
        "name": "sales",
        "h": 3,
        "freq": "D",
        "level": [80],
        "source": {"files": str(folder / "sales.csv"), "patience": 0},
        "model": {"name": "seasonal_naive"},
        "sink": {"folder": str(folder / "out")},
        "folder": str(folder / "job"),
        "watch": {"report": False},
        "patience": 5,
        "progress": False,
        **changes,
    }
    path = folder / "job.yaml"
    path.write_text(yaml.safe_dump(job))
    return path


def moved(path: Path, folder: Path) -> Path:
    """A copy of the job with all its files, for a strike of its own."""
    shutil.copytree(path.parent, folder, copy_function=shutil.copy2)
    copy = folder / path.name
    copy.write_text(copy.read_text().replace(str(path.parent), str(folder)))
    return copy


def correct(path: Path) -> None:
    """New data: a row of every shop, a week before its first forecast, is another."""
    rows = sales(days=100, series=3)
    rows.loc[rows["ds"] == "2026-03-25", "y"] += 9.0
    rows.to_csv(path.parent / "sales.csv", index=False)


def shown(job: Job) -> pd.DataFrame:
    return job.open_sink().read(job.name)


def leftovers(job: Job) -> list[str]:
    """Temporary files and drafts below the folder of the job."""
    found = job.home.parent.rglob("*")
    return [str(path) for path in found if path.name.endswith(".tmp") or (path.is_dir() and path.name.startswith("."))]


def tables(folder: Path) -> dict[str, Any]:
    """Sinks that have all in one database, or the forecasts in a folder."""
    database = f"sqlite:///{folder / 'all.db'}"
    return {"folder": {"sink": {"folder": str(folder / "out")}}, "database": {"sink": {"url": database}}}


@pytest.mark.parametrize("kind", ["folder", "database"])
def test_a_run_killed_anywhere_leaves_old_or_new_and_the_next_makes_it_whole(tmp_path, runner, kind):
    base = new_job(tmp_path / "base", **tables(tmp_path / "base")[kind])
    assert runner(base)["code"] == 0
    old = shown(open_job(base))
    correct(base)
    golden = moved(base, tmp_path / "golden")
    answer = runner(golden)
    assert answer["code"] in (0, 10), answer
    new = shown(open_job(golden))
    assert not old["mean"].equals(new["mean"])
    reached = list(dict.fromkeys(answer["points"]))
    assert {"run.read", "run.model", "run.computed", "run.committed", "watch.noted"} <= set(reached)
    for number, point in enumerate(reached):
        path = moved(base, tmp_path / f"strike{number}")
        assert runner(path, kill_at=point) == {"signal": 9}, point
        job = open_job(path)
        found = shown(job)
        assert found.equals(old) or found.equals(new), f"a mix after a kill at {point}"
        again = runner(path)
        assert again.get("code") in (0, 10), (point, again)
        pd.testing.assert_frame_equal(shown(job), new, check_exact=True)
        (row,) = Ledger(job.ledger_url).committed("sales").itertuples()
        assert row.version == 2 and row.run == new["run"].iloc[0], point
        assert leftovers(job) == [], point
        shutil.rmtree(path.parent)


def test_a_training_killed_anywhere_is_done_again(tmp_path, runner):
    """What is saved of a model is whole or not there."""
    training = {"batch_size": 8, "cycles": 1, "validations": 1}
    model = {"name": "lstm", "max_steps": 2, "training": training, "gate": {"enabled": False}}
    model["settings"] = {"input_size": 14, "hidden_size": 4}
    base = new_job(tmp_path / "base", model=model, watch={"enabled": False})
    golden = moved(base, tmp_path / "golden")
    answer = runner(golden)
    assert answer["code"] == 0, answer
    new = shown(open_job(golden))
    reached = [point for point in dict.fromkeys(answer["points"]) if point.startswith("models.")]
    assert len(reached) >= 5
    for number, point in enumerate(reached):
        path = moved(base, tmp_path / f"strike{number}")
        assert runner(path, kill_at=point) == {"signal": 9}, point
        assert len(shown(open_job(path))) == 0
        assert runner(path)["code"] == 0, point
        pd.testing.assert_frame_equal(shown(open_job(path)), new, check_exact=True)
        assert leftovers(open_job(path)) == [], point


def test_a_delivery_from_the_spool_killed_anywhere_is_done_once(tmp_path, runner):
    database = f"sqlite:///{tmp_path / 'base' / 'back.db'}"
    base = new_job(tmp_path / "base", sink={"url": database})
    away = ["sink.url=postgresql://nobody@127.0.0.1:1/x", "patience=0", f"ledger={database}"]
    assert runner(base, overrides=away)["code"] == 8
    golden = moved(base, tmp_path / "golden")
    answer = runner(golden)
    assert answer["code"] == 0, answer
    new = shown(open_job(golden))
    assert len(new) == 9
    points = list(dict.fromkeys(answer["points"]))
    assert {"spool.delivered", "spool.note.dropped"} <= set(points)
    for number, point in enumerate(points[: points.index("run.read")]):
        path = moved(base, tmp_path / f"strike{number}")
        assert runner(path, kill_at=point) == {"signal": 9}, point
        job = open_job(path)
        assert len(Ledger(job.ledger_url).open().committed("sales")) == len(shown(job)) / 9
        assert runner(path)["code"] == 0, point
        pd.testing.assert_frame_equal(shown(job), new, check_exact=True)
        assert list((job.home / "spool").iterdir()) == [], point


def test_sigterm_ends_a_run_between_its_steps_and_the_next_run_does_it(tmp_path, runner):
    base = new_job(tmp_path / "base", watch={"enabled": False})
    golden = moved(base, tmp_path / "golden")
    points = runner(golden)["points"]
    new = shown(open_job(golden))
    chosen = sorted({points.index(name) + 1 for name in ("run.read", "run.model", "run.computed", "sink.staged")})
    for number in [*chosen, len(points) - 2]:
        path = moved(base, tmp_path / f"strike{number}")
        answer = runner(path, signals=[number])
        finished = points.index("run.committed") < number
        assert answer["code"] == (0 if finished else 143), (points[number - 1], answer)
        job = open_job(path)
        states = Ledger(job.ledger_url).runs()["state"].tolist()
        assert states == (["committed"] if finished else ["failed"]), points[number - 1]
        assert len(shown(job)) == (len(new) if finished else 0)
        assert runner(path)["code"] == 0
        assert shown(job)["mean"].equals(new["mean"]) and leftovers(job) == []


def test_a_second_sigterm_stops_at_once_and_leaves_nothing_half(tmp_path, runner):
    base = new_job(tmp_path / "base", watch={"enabled": False})
    golden = moved(base, tmp_path / "golden")
    points = runner(golden)["points"]
    new = shown(open_job(golden))
    first = points.index("sink.staged") + 1
    for second in range(first + 1, points.index("run.committed") + 1):
        path = moved(base, tmp_path / f"strike{second}")
        runner(path, signals=[first, second])
        job = open_job(path)
        assert len(shown(job)) in (0, len(new))
        assert runner(path)["code"] == 0
        assert shown(job)["mean"].equals(new["mean"]) and leftovers(job) == []


@pytest.mark.parametrize("kind", ["folder", "database"])
def test_eight_runs_at_once_publish_once(tmp_path, runner, kind):
    path = new_job(tmp_path / "base", **tables(tmp_path / "base")[kind], watch={"enabled": False})
    assert runner(moved(path, tmp_path / "warm"))["code"] == 0
    answer = runner(path, slots=[SLOT] * 8)
    assert set(answer["codes"]) <= {0, 9} and 0 in answer["codes"], answer
    job = open_job(path)
    (row,) = Ledger(job.ledger_url).runs().itertuples()
    assert (row.state, row.version) == ("committed", 1)
    assert len(shown(job)) == 9 and leftovers(job) == []


def test_runs_of_different_slots_at_once_are_all_published(tmp_path, runner):
    path = new_job(tmp_path / "base", watch={"enabled": False})
    assert runner(path)["code"] == 0
    slots = ["2026-04-01", "2026-04-02", "2026-04-03", "2026-04-04"]
    assert runner(path, slots=slots)["codes"] == [0, 0, 0, 0]
    job = open_job(path)
    assert len(Ledger(job.ledger_url).committed("sales")) == 4 and len(shown(job)) == 4 * 9
