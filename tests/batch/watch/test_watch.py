"""The watch as a whole: what it finds in a small job's life, and that nothing in it makes the run fail."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from forecast.batch.watch.alerts import exit_code
from forecast.batch.watch.settings import WatchSettings
from forecast.errors import StorageError


def told(findings) -> set[tuple[str, str]]:
    return {(alert.kind, alert.severity) for alert in findings.alerts}


def test_the_first_run_of_a_job_has_nothing_to_compare_with_and_nothing_to_say(shop_of) -> None:
    findings = shop_of().run(60)
    assert findings.alerts == ()
    assert findings.changes.previous is None
    assert findings.previous is None
    assert len(findings.sums.points) == 0
    assert len(findings.history) == 1


def test_a_job_that_goes_wrong_is_told_by_its_errors_and_by_its_series(shop_of) -> None:
    shop = shop_of()
    shop.settings = WatchSettings(recent=3, reference=20)
    for day in range(60, 76):
        shop.publish(day)
    assert told(shop.run(76)) == set()
    shop.values[:, 76:] += 40.0
    shop.absent = {"s1"}
    for day in (77, 78):
        findings = shop.run(day)
    assert ("accuracy", "critical") in told(findings)
    assert ("ids", "warning") not in told(findings)  # that was told the day it happened
    kept = shop.store.alerts("shop", 0)
    assert "ids" in set(kept["kind"])
    assert exit_code(findings.alerts) == 10
    assert findings.history["alerts"].tolist()[:2] == [len([a for a in findings.alerts if a.severity != "info"]),
                                                       int((kept["slot"] == kept["slot"].unique()[0]).sum())]  # fmt: skip


def test_what_changed_is_told_apart_by_the_hashes_of_the_runs(shop_of) -> None:
    shop = shop_of()
    shop.run(60)
    new_data = shop.run(61).changes
    assert new_data.which == ("data",)
    assert new_data.parts["data"] == new_data.total
    shop.model_hash, shop.config_hash = "m2", "c2"
    facts = shop.publish(62, shift=2.0)
    everything = shop.look(facts).changes
    assert everything.which == ("data", "model", "settings")
    assert everything.parts == {"data": None, "model": None, "settings": None}
    assert everything.total.absolute > new_data.total.absolute


def test_watching_twice_changes_nothing(shop_of, cells) -> None:
    shop = shop_of()
    for day in range(60, 64):
        facts = shop.publish(day)
        first = shop.look(facts)
    before = cells(shop)
    again = shop.look(facts)
    pd.testing.assert_frame_equal(cells(shop), before)
    assert again.alerts == first.alerts
    assert len(shop.store.profiles("shop", 2**62, 99)) == 4


def test_a_backfilled_watch_knows_only_what_was_known_at_its_slot(shop_of) -> None:
    shop = shop_of()
    facts = [shop.publish(day) for day in range(60, 66)]
    findings = shop.look(facts[2])
    assert set(findings.runs["run"]) == {one.run for one in facts[:3]}
    assert findings.history["slot"].max() == facts[2].slot
    assert findings.changes.previous == facts[1].run
    assert findings.sums.points["n"].sum() == 3 * (2 + 1)


def test_a_sink_that_cannot_be_read_becomes_an_alert_and_the_next_watch_catches_up(shop_of, cells) -> None:
    golden, shop = shop_of(name="golden"), shop_of(name="shop")
    for day in range(60, 65):
        golden.publish(day)
        shop.publish(day)
    golden.run(65)
    read = shop.sink.read

    def refuse(job, runs=None, between=None):
        raise StorageError("the disk is gone\nand so on")

    shop.sink.read = refuse
    facts = shop.publish(65)
    findings = shop.look(facts)
    assert ("watch", "warning") in told(findings)
    assert all("\n" not in alert.message for alert in findings.alerts)
    shop.sink.read = read
    shop.look(facts)
    pd.testing.assert_frame_equal(cells(golden), cells(shop), rtol=1e-12)


def test_a_ledger_that_lost_the_watchs_tables_becomes_alerts(shop_of) -> None:
    shop = shop_of()
    shop.run(60)
    with shop.ledger.engine.begin() as connection:
        for name in ("points", "profiles", "alerts"):
            connection.exec_driver_sql(f"DROP TABLE forecast_watch_{name}")
    findings = shop.run(61)
    assert told(findings) == {("watch", "warning")}
    assert findings.changes.total is not None  # what could be found was found


def test_a_run_that_failed_is_watched_without_forecasts(shop_of) -> None:
    from dataclasses import replace

    shop = shop_of()
    for day in range(60, 63):
        facts = shop.publish(day)
    failed = replace(facts, run=None, frame=None, panel=None, state="failed", error="boom")
    findings = shop.look(failed)
    assert findings.alerts == ()
    assert len(findings.history) == 3
    assert findings.changes.total is None


def test_stamps_with_a_zone_are_watched_across_a_change_of_clocks(shop_of) -> None:
    """Hourly rows in London over the night of 2026-03-29, forecast and scored by instant."""
    from forecast.batch.watch.actuals import join_actuals
    from forecast.panel.panel import Panel
    from forecast.timeline import fit_timeline

    start = np.array(["2026-03-28T12:00"], dtype="datetime64[us]")
    timeline = fit_timeline("h", start, "Europe/London")
    first, _ = timeline.ordinals(start)
    panel = Panel(pd.Index(["a"]), np.arange(48.0), np.array([0, 48]), first, timeline)
    ds = pd.date_range("2026-03-28T22:00", periods=6, freq="h", tz="UTC").tz_convert("Europe/London").as_unit("us")
    frame = pd.DataFrame({"unique_id": "a", "ds": ds, "cutoff": ds[0] - pd.Timedelta(hours=1), "mean": 0.0})
    assert join_actuals(frame, panel, 1)["y"].tolist() == [10.0, 11.0, 12.0, 13.0, 14.0, 15.0]


def test_importing_the_watch_imports_neither_torch_nor_pictures() -> None:
    code = (
        "import sys, forecast.batch.watch.watch, forecast.batch.watch.report, forecast.batch.watch.webhook\n"
        "print([name for name in ('torch', 'matplotlib', 'sqlalchemy', 'jinja2', 'scipy') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("limit", [1, 3])
def test_only_the_latest_runs_are_kept_up_to_date(shop_of, limit: int) -> None:
    shop = shop_of()
    shop.settings = WatchSettings(runs=limit)
    for day in range(60, 63):
        shop.publish(day)
    assert len(shop.run(63).runs) == limit
