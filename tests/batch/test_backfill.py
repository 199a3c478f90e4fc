"""The slots of the past, run later: as if they had been run then."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest

from forecast import ConfigError, Forecaster
from forecast.batch.backfill import backfill, summary
from forecast.batch.contract import Contract
from forecast.batch.interrupts import Interrupts
from forecast.batch.ledger.ledger import Ledger
from forecast.batch.models.refresh import ModelPolicy
from forecast.batch.outcome import worst
from forecast.batch.run import run
from forecast.batch.slots import Schedule
from forecast.batch.source import FunctionSource
from forecast.models import LSTM
from tests.batch.shop import SLOT, H, published, sales, sales_job

DAYS = 60
LAST = SLOT + timedelta(days=DAYS - 1)


def as_it_was(as_of):
    """The table as it stood at ``as_of``: on even days cut off there, on odd days with nonsense after it."""
    rows = sales(days=160)
    future = rows["ds"] >= pd.Timestamp(as_of).tz_localize(None)
    if as_of.day % 2:
        return rows[~future]
    rows.loc[future, "y"] = 1e9
    return rows


def daily(folder, slots, **changes):
    """A run for each slot, each with the rows there were then."""
    job = sales_job(folder, source=FunctionSource(as_it_was, patience=0.0), **changes)
    for slot in slots:
        run(job, slot)
    return job


def saved_net(folder, quick):
    past = sales()[lambda frame: frame["ds"] < "2026-03-01"]
    net = LSTM(input_size=14, hidden_size=4)
    Forecaster(net, H, "D", training=quick, progress=False).fit(past).save(folder / "saved")
    return ModelPolicy(saved=folder / "saved")


@pytest.mark.parametrize("model", ["seasonal_naive", "saved net"])
def test_sixty_days_at_once_equal_sixty_daily_runs_bit_for_bit(tmp_path, quick, model):
    model = saved_net(tmp_path, quick) if model == "saved net" else model
    job = sales_job(tmp_path / "later", sales(days=160), model=model)
    outcomes = backfill(job, SLOT, LAST)
    assert [outcome.state for outcome in outcomes] == ["committed"] * DAYS
    then = daily(tmp_path / "then", [SLOT + timedelta(days=day) for day in range(DAYS)], model=model)
    pd.testing.assert_frame_equal(published(job), published(then), check_exact=True)
    runs = [Ledger(one.ledger_url).committed("sales") for one in (job, then)]
    names = ["run", "slot", "version", "cutoff", "data_hash", "model_hash", "config_hash"]
    pd.testing.assert_frame_equal(runs[0][names], runs[1][names])
    assert len(published(job)) == DAYS * 4 * H


def test_a_backfill_trains_when_the_daily_runs_trained(tmp_path, quick):
    policy = ModelPolicy(LSTM(input_size=14, hidden_size=4), training=quick, refresh_after="5D", gate=None)
    job = sales_job(tmp_path / "later", sales(days=160), model=policy)
    slots = [SLOT + timedelta(days=day) for day in range(11)]
    backfill(job, slots[0], slots[-1])
    then = daily(tmp_path / "then", slots, model=policy)
    pd.testing.assert_frame_equal(published(job), published(then), check_exact=True)
    assert Ledger(job.ledger_url).committed("sales")["model_hash"].nunique() == 3


def test_slots_that_are_there_are_left_alone(tmp_path):
    job = sales_job(tmp_path)
    run(job, SLOT.replace(day=2))
    states = [outcome.state for outcome in backfill(job, "2026-04-01", "2026-04-03")]
    assert states == ["committed", "unchanged", "committed"]


def test_a_slot_that_fails_does_not_stop_the_others(tmp_path):
    rows = sales()
    rows = rows[(rows["ds"] < "2026-04-01") | (rows["ds"] >= "2026-04-04")]
    job = sales_job(tmp_path, rows, contract=Contract(max_staleness=1))
    told = []
    outcomes = backfill(job, "2026-04-01", "2026-04-06", tell=told.append)
    assert [outcome.state for outcome in outcomes] == ["committed"] * 2 + ["failed"] * 2 + ["committed"] * 2
    assert worst(outcomes) == 4 and told == outcomes
    text = summary(outcomes)
    assert "6 slots: 4 committed, 2 failed. Exit code 4." in text and "2026-04-03T00:00Z failed" in text


def test_a_signal_ends_a_backfill_after_the_slot_it_is_in(tmp_path):
    interrupts = Interrupts(())
    job = sales_job(tmp_path)
    outcomes = backfill(
        job,
        "2026-04-01",
        "2026-04-09",
        interrupts=interrupts,
        tell=lambda outcome: setattr(interrupts, "pending", 15 if outcome.slot.day == 2 else None),
    )
    assert [outcome.state for outcome in outcomes] == ["committed", "committed", "interrupted"]
    assert worst(outcomes) == 143
    assert len(Ledger(job.ledger_url).committed("sales")) == 2


def test_slots_follow_the_schedule_in_its_zone_across_a_change_of_clocks(tmp_path):
    job = sales_job(tmp_path, zone="Europe/Berlin", schedule=Schedule("30 2 * * *", "Europe/Berlin"))
    outcomes = backfill(job, "2026-03-27", "2026-03-31")
    assert [f"{outcome.slot:%d %H:%M}" for outcome in outcomes] == ["27 01:30", "28 01:30", "29 01:00", "30 00:30"]
    assert [outcome.facts["cutoff"][:10] for outcome in outcomes] == [f"2026-03-{day}" for day in (26, 27, 28, 29)]


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        ("2026-04-02", "2026-04-01", "after"),
        ("soon", None, "not a time"),
        ("2026-04-01T01:00", "2026-04-01T02:00", "no slot"),
    ],
)
def test_a_backfill_of_nothing_is_refused(tmp_path, first, last, words):
    with pytest.raises(ConfigError, match=words):
        backfill(sales_job(tmp_path), first, last)
