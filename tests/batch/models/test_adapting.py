"""Adaptive intervals of a job: their coverage is kept from run to run without training again."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecast import Calibrated, ConfigError, Intervals
from forecast.batch.job import Job
from forecast.batch.ledger.ledger import Ledger
from forecast.batch.models.memory import KEPT
from forecast.batch.models.refresh import ModelPolicy
from forecast.batch.opening import job_of
from forecast.batch.outcome import Outcome
from forecast.batch.run import run
from forecast.batch.settings import from_mapping
from forecast.models import Naive
from tests.batch.shop import sales, sales_job

FIRST_SLOT = datetime(2026, 3, 2, tzinfo=UTC)  # sixty days are known then
BREAK = pd.Timestamp("2026-03-05")


def wild_sales() -> pd.DataFrame:
    """Sales of three shops that begin to jump about, of the first shop, in March."""
    rows = sales(100, 3)
    noise = np.random.default_rng(5).standard_normal(len(rows)) * 8.0
    jumpy = (rows["ds"] >= BREAK) & (rows["unique_id"] == "shop 0")
    return rows.assign(y=np.where(jumpy, rows["y"] + noise, rows["y"]))


@pytest.fixture
def job(tmp_path) -> Job:
    return adaptive_job(tmp_path)


def adaptive_job(folder: Path, **changes: Any) -> Job:
    policy = ModelPolicy(model=Calibrated("seasonal_naive", "adaptive"), gate=None)
    return sales_job(folder, wild_sales(), model=policy, h=2, **changes)


def slot(day: int) -> datetime:
    return FIRST_SLOT + timedelta(days=day)


def told(job: Job, outcome: Outcome) -> dict[str, Any]:
    return dict(Ledger(job.ledger_url).show(outcome.run).counts["intervals"])


def widths(job: Job, outcome: Outcome) -> pd.Series:
    frame = job.open_sink().read(job.name, [outcome.run])
    return (frame["hi-80"] - frame["lo-80"]).groupby(frame["unique_id"].to_numpy()).mean()


def test_misses_widen_the_intervals_of_the_runs_that_follow_without_training(job):
    first = run(job, slot(0))
    for day in (1, 2, 3):
        run(job, slot(day))
    late = run(job, slot(20))
    before, after = widths(job, first), widths(job, late)
    assert after["shop 0"] > 2.0 * before["shop 0"]
    assert after["shop 1"] < 1.6 * before["shop 1"]
    facts = Ledger(job.ledger_url).show(late.run).facts["model"]
    assert facts["trained"] is False
    assert told(job, late) == {"followed": 3, "since": "20260305T000000.000000Z"}


def test_without_the_kept_state_the_same_intervals_are_worked_out_again(job, tmp_path):
    other = adaptive_job(tmp_path / "other")
    for day in (0, 5, 9):
        kept = run(job, slot(day))
        shutil.rmtree(other.home / "intervals", ignore_errors=True)
        bare = run(other, slot(day))
    assert told(other, bare)["since"] == ""
    pd.testing.assert_series_equal(widths(job, kept), widths(other, bare), rtol=1e-6)


def test_a_few_states_are_kept_and_a_damaged_one_is_passed_over(job):
    for day in range(6):
        run(job, slot(day))
    (version,) = (job.home / "intervals").iterdir()
    slots = sorted(version.iterdir())
    assert len(slots) == KEPT
    for file in slots[-1].rglob("*.safetensors"):
        file.write_bytes(b"nothing of use")
    outcome = run(job, slot(6))
    assert told(job, outcome)["since"] == slots[-2].name


def test_a_run_for_an_earlier_slot_knows_nothing_of_later_misses(job, tmp_path):
    other = adaptive_job(tmp_path / "other")
    for day in (0, 20):
        run(job, slot(day))
    run(other, slot(0))
    again, fresh = run(job, slot(4)), run(other, slot(4))
    pd.testing.assert_series_equal(widths(job, again), widths(other, fresh))


def test_quarantined_series_move_no_intervals(tmp_path):
    rows = wild_sales()
    faulty = pd.concat([rows, rows[(rows["unique_id"] == "shop 0") & (rows["ds"] == BREAK)]])  # a row twice
    policy = ModelPolicy(model=Calibrated("seasonal_naive", "adaptive"), gate=None)
    job = sales_job(tmp_path, faulty, model=policy, h=2)
    run(job, slot(0))
    outcome = run(job, slot(20))
    assert told(job, outcome)["followed"] == 2
    assert np.isfinite(widths(job, outcome)).all()


def test_a_job_file_asks_for_intervals(tmp_path):
    given = {"h": 2, "freq": "D", "folder": str(tmp_path), "source": {"data": "elnino"}}
    wanted = {"name": "naive", "intervals": {"method": "adaptive", "levels": [80]}}
    job = job_of(from_mapping({**given, "model": wanted}, "mine"))
    assert job.model.model == Calibrated(Naive(), Intervals("adaptive", levels=(80,)))
    with pytest.raises(ConfigError, match="intervals and output options go with model.name"):
        job_of(from_mapping({**given, "model": {"name": None, "saved": "x", "intervals": "split"}}, "mine"))
