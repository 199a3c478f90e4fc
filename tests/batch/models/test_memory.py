"""What stateful models remember from run to run: less to read, and never another forecast."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecast import Forecaster, Training
from forecast.batch import points
from forecast.batch.job import Job
from forecast.batch.ledger.ledger import Ledger
from forecast.batch.models.memory import KEPT, Memory
from forecast.batch.models.refresh import ModelPolicy
from forecast.batch.models.store import ModelStore
from forecast.batch.outcome import Outcome
from forecast.batch.run import run
from forecast.ingest.door import to_panel
from forecast.models import LSTM
from forecast.nets.stream import StreamNet
from tests.batch.shop import H, published, sales, sales_job

FIRST_SLOT = datetime(2026, 3, 2, tzinfo=UTC)  # sixty days are known then
TRAINING = Training(max_steps=3, batch_size=4, cycles=1, validations=1, stateful=True, chunk=16)


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A small stateful net that has read none of the series of the jobs."""
    frame = sales(60, 5, seed=9).assign(unique_id=lambda f: "former " + f["unique_id"])
    net = LSTM(input_size=14, hidden_size=8, quantiles=(0.1, 0.5, 0.9))
    fitted = Forecaster({"lstm": net}, h=H, freq="D", training=TRAINING, progress=False).fit(frame)
    return fitted.save(tmp_path_factory.mktemp("saved") / "lstm")


@pytest.fixture
def read(monkeypatch) -> list[int]:
    """The rows that nets read, one number for each call."""
    seen: list[int] = []
    own = StreamNet.read
    monkeypatch.setattr(
        StreamNet, "read", lambda net, rows, carry: (seen.append(len(rows) * rows.shape[1]), own(net, rows, carry))[1]
    )
    return seen


@pytest.fixture
def strike() -> Iterator[None]:
    yield
    points.listener = None


def job_of(folder: Path, saved: Path, rows: pd.DataFrame, **changes: Any) -> Job:
    return sales_job(folder, rows, model=ModelPolicy(saved=saved), quantiles=(0.1, 0.9), **changes)


def slot(day: int) -> datetime:
    return FIRST_SLOT + timedelta(days=day)


def forgetful(job: Job, day: int) -> Outcome:
    """A run without states."""
    shutil.rmtree(job.home / "states", ignore_errors=True)
    return run(job, slot(day))


def told(job: Job, outcome: Outcome) -> dict[str, Any]:
    """What the ledger says of the states of a run."""
    return dict(Ledger(job.ledger_url).show(outcome.run).counts["states"])


def forecasts(job: Job, outcome: Outcome) -> pd.DataFrame:
    frame = job.open_sink().read(job.name, [outcome.run])
    return frame.drop(columns=["run", "version", "created_at"], errors="ignore")


def same(one: pd.DataFrame, two: pd.DataFrame) -> None:
    """Equal to the last bit."""
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def history(day: int) -> pd.DataFrame:
    """What the source holds on each of ten days: a correction, a new series, one that has vanished, a late row."""
    rows = sales(60 + 30, 6)
    if day >= 4:  # a row of the first week is corrected
        rows.loc[(rows["unique_id"] == "shop 2") & (rows["ds"] == "2026-01-05"), "y"] += 25.0
    if day < 6:
        rows = rows[rows["unique_id"] != "shop 4"]
    if day >= 7:
        rows = rows[rows["unique_id"] != "shop 1"]
    if day < 8:  # a row of the day before yesterday comes two days late
        rows = rows[(rows["unique_id"] != "shop 3") | (rows["ds"] != "2026-03-07")]
    return rows


def test_ten_daily_runs_with_states_equal_ten_without_bit_for_bit(tmp_path, saved, read):
    kept, without = tmp_path / "kept", tmp_path / "without"
    rows_read, counts = [], []
    for day in range(10):
        one, two = (job_of(folder, saved, history(day)) for folder in (kept, without))
        del read[:]
        outcome = run(one, slot(day))
        rows_read.append(sum(read))
        counts.append(told(one, outcome))
        plain = forgetful(two, day)
        assert outcome.run and (outcome.state, plain.state) == ("committed", "committed")
        same(forecasts(one, outcome), forecasts(two, plain))
        assert told(two, plain)["resumed"] == 0
    known = [(c["resumed"], c["read_again"], c["new"]) for c in counts]
    expected = [(0, 0, 5), *[(5, 0, 0)] * 3, (4, 1, 0), (5, 0, 0), (5, 0, 1), (5, 0, 0), (4, 1, 0), (5, 0, 0)]
    assert known == expected
    # all rows, a row each, all of a corrected series and of a new one, none of a vanished one, two after a late one
    assert rows_read == [5 * 60, 5, 5, 5, 4 + 64, 5, 4 + 66, 4 + 2, 4 + 68, 5]
    assert [c["since"] for c in counts] == ["", *(f"{slot(day):%Y%m%dT%H%M%S}.000000Z" for day in range(9))]


def test_nothing_after_the_cutoff_of_an_older_slot_gets_into_it_by_states(tmp_path, saved):
    rows = sales(90, 6)
    golden = job_of(tmp_path / "golden", saved, rows)
    expected = forecasts(golden, run(golden, slot(3)))
    poisoned = rows.copy()
    poisoned.loc[poisoned["ds"] >= pd.Timestamp(slot(3)).tz_localize(None), "y"] = 1e6
    later = job_of(tmp_path / "later", saved, poisoned)
    run(later, slot(9))
    outcome = run(later, slot(3))
    same(forecasts(later, outcome), expected)
    assert told(later, outcome)["since"] == ""  # those of the later slot are not looked at
    model = ModelStore(later.home / "models").current(slot(3))
    memory = Memory.of(later.home)
    panel = to_panel(poisoned, freq="D")
    shutil.rmtree(later.home / "states")
    memory.keep(model.model.fitted.advanced(panel).states, model.version, slot(2), panel.timeline)
    shutil.rmtree(tmp_path / "later" / "out")
    (later.home / "batch.db").unlink()
    again = run(later, slot(3))  # with states under an earlier slot that have read the poison
    same(forecasts(later, again), expected)
    assert told(later, again)["resumed"] == 0 and told(later, again)["since"]


def test_a_run_of_the_same_slot_again_goes_on_from_its_own_states_and_rewinds_what_was_corrected(tmp_path, saved, read):
    rows = sales(90, 6)
    run(job_of(tmp_path, saved, rows), slot(0))
    rows.loc[(rows["unique_id"] == "shop 5") & (rows["ds"] == "2026-02-20"), "y"] = 1.0
    del read[:]
    job = job_of(tmp_path, saved, rows)
    outcome = run(job, slot(0))
    assert (outcome.version, sum(read)) == (2, 60)
    assert told(job, outcome)["resumed"] == 5 and told(job, outcome)["read_again"] == 1
    fresh = job_of(tmp_path / "fresh", saved, rows)
    same(forecasts(job, outcome), forecasts(fresh, run(fresh, slot(0))))


def damaged(place: Path) -> None:
    (part,) = place.glob("*.safetensors")
    data = bytearray(part.read_bytes())
    data[-1] ^= 1
    part.write_bytes(data)


def cut_short(place: Path) -> None:
    manifest = place / "model.json"
    manifest.write_bytes(manifest.read_bytes()[:-40])


def foreign(place: Path) -> None:
    """That of another slot, by its name."""
    shutil.move(place, place.with_name("20260301T000000.000000Z"))


def half(place: Path) -> None:
    (place / "model.json").unlink()


@pytest.mark.parametrize("harm", [damaged, cut_short, foreign, half])
def test_states_that_are_damaged_or_of_another_slot_are_named_and_not_used(tmp_path, saved, harm):
    rows = sales(90, 6)
    job = job_of(tmp_path, saved, rows)
    run(job, slot(0))
    (place,) = (job.home / "states").glob("*/*")
    harm(place)
    outcome = run(job, slot(1))
    assert outcome.exit_code == 0 and any("rows are read again" in note for note in outcome.notes)
    fresh = job_of(tmp_path / "fresh", saved, rows)
    same(forecasts(job, outcome), forecasts(fresh, run(fresh, slot(1))))
    assert told(job, run(job, slot(2)))["resumed"] == 6  # the run after has states again


def test_states_of_another_model_version_are_not_used(tmp_path, saved):
    rows = sales(90, 6)
    job = job_of(tmp_path, saved, rows)
    run(job, slot(0))
    net = LSTM(input_size=14, hidden_size=8, quantiles=(0.1, 0.5, 0.9))
    other = Forecaster({"lstm": net}, h=H, freq="D", training=TRAINING, seed=5, progress=False).fit(rows[:200])
    changed = job_of(tmp_path, other.save(tmp_path / "other"), rows)
    outcome = run(changed, slot(1))
    fresh = job_of(tmp_path / "fresh", tmp_path / "other", rows)
    same(forecasts(changed, outcome), forecasts(fresh, run(fresh, slot(1))))
    assert not outcome.notes and told(changed, outcome)["since"] == ""
    (old,) = (p for p in (job.home / "states").iterdir() if p.name != ModelStore(job.home / "models").current().version)
    new = job.home / "states" / ModelStore(job.home / "models").current().version
    shutil.rmtree(new)
    shutil.move(old, new)  # with the name of the new one they are not taken for its own either
    assert any("of another model" in note for note in run(changed, slot(2)).notes)


def test_a_series_in_quarantine_for_a_day_is_gone_on_with_from_the_day_before(tmp_path, saved, read):
    rows = sales(90, 6)
    run(job_of(tmp_path, saved, rows), slot(0))
    bad = rows.copy()
    bad.loc[(bad["unique_id"] == "shop 0") & (bad["ds"] == "2026-02-01"), "y"] = np.inf
    job = job_of(tmp_path, saved, bad)
    second = run(job, slot(1))
    assert told(job, second) | {"since": ""} == {"resumed": 5, "read_again": 0, "new": 0, "since": ""}
    del read[:]
    healed = job_of(tmp_path, saved, rows)
    assert told(healed, run(healed, slot(2)))["resumed"] == 6
    assert sum(read) == 5 + 2


def test_only_the_states_written_last_stay(tmp_path, saved):
    job = job_of(tmp_path, saved, sales(90, 6))
    for day in (9, 0, 1, 2, 3):  # a backfill after a run: what it wrote itself must be there for its next slot
        outcome = run(job, slot(day))
    assert told(job, outcome)["since"].startswith("20260304")
    places = sorted(place.name[:8] for place in (job.home / "states").glob("*/*"))
    assert places == ["20260303", "20260304", "20260305"] and len(places) == KEPT


def test_a_model_without_states_leaves_none(tmp_path):
    job = sales_job(tmp_path)
    outcome = run(job, slot(0))
    assert not (job.home / "states").exists()
    assert "states" not in Ledger(job.ledger_url).show(outcome.run).counts


def test_where_states_cannot_be_kept_the_run_says_so_and_is_done(tmp_path, saved):
    job = job_of(tmp_path, saved, sales(90, 6))
    job.home.mkdir(parents=True)
    (job.home / "states").write_text("in the way")
    outcome = run(job, slot(0))
    assert (outcome.state, outcome.exit_code) == ("committed", 0)
    assert any("are not kept" in note for note in outcome.notes)
    assert len(published(job)) == 6 * H


@pytest.mark.parametrize("point", ["run.computed", "run.committed", "memory.save", "memory.saved", "memory.pruned"])
def test_a_run_killed_around_the_keeping_of_states_leaves_whole_ones_or_none(tmp_path, saved, point, strike):
    rows = sales(90, 6)
    job = job_of(tmp_path, saved, rows)
    run(job, slot(0))
    pid = os.fork()
    if pid == 0:
        points.listener = lambda reached: os.kill(os.getpid(), signal.SIGKILL) if reached == point else None
        try:
            run(job, slot(1))
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    kept = {place.name[:8] for place in (job.home / "states").glob("*/*")}
    assert kept == ({"20260302", "20260303"} if point in ("memory.saved", "memory.pruned") else {"20260302"})
    run(job, slot(1))
    outcome = run(job, slot(2))
    assert not outcome.notes and told(job, outcome)["resumed"] == 6
    fresh = job_of(tmp_path / "fresh", saved, rows)
    same(forecasts(job, outcome), forecasts(fresh, run(fresh, slot(2))))
