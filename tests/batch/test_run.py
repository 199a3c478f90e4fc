"""One run of a job from its source to its readers, and everything that may go wrong on the way."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from forecast import ArtifactError, ConfigError, DataError, Forecaster
from forecast.batch.contract import Contract
from forecast.batch.files import FileSource
from forecast.batch.ledger.ledger import Ledger
from forecast.batch.models.refresh import ModelPolicy
from forecast.batch.product import forecast_table, form_of
from forecast.batch.rehearsal import check, rehearse
from forecast.batch.run import attempt, run
from forecast.batch.sinks.folder import FolderSink
from forecast.batch.sinks.sql import SqlSink
from forecast.batch.slots import Schedule
from forecast.batch.source import FunctionSource
from forecast.batch.watch.settings import WatchSettings
from forecast.errors import AlreadyRunningError, StorageError
from forecast.models import LSTM
from tests.batch.shop import FIRST, SLOT, H, files, published, sales, sales_job, table

NOWHERE = "postgresql://somebody:geheim123@127.0.0.1:1/nothing"  # nobody listens at port 1


def ledger_of(job) -> Ledger:
    return Ledger(job.ledger_url)


def test_a_run_forecasts_every_step_of_every_series_from_the_rows_known_at_its_slot(tmp_path):
    job = sales_job(tmp_path)
    outcome = run(job, SLOT)
    assert (outcome.state, outcome.exit_code, outcome.version) == ("committed", 0, 1)
    assert outcome.counts == {"seasonal_naive": 4}
    frame = published(job)
    rows = sales()
    last_week = rows[(rows["ds"] >= "2026-03-25") & (rows["ds"] < "2026-04-01")]
    np.testing.assert_array_equal(frame["mean"], last_week["y"])
    assert frame["unique_id"].tolist() == last_week["unique_id"].tolist()
    assert (frame["cutoff"] == pd.Timestamp("2026-03-31")).all()
    assert frame["ds"].tolist() == (last_week["ds"] + pd.Timedelta("7D")).tolist()
    assert frame["step"].tolist() == list(range(1, H + 1)) * 4
    assert (frame["lo-80"] <= frame["mean"]).all() and (frame["mean"] <= frame["hi-80"]).all()
    assert set(frame["source"]) == {"seasonal_naive"} and set(frame["reason"]) == {""}
    assert set(frame["run"]) == {outcome.run} and set(frame["slot"]) == {pd.Timestamp(SLOT)}
    record = ledger_of(job).show(outcome.run)
    assert (record.state, record.version, record.cutoff) == ("committed", 1, "2026-03-31T00:00:00")
    assert record.counts["rows"] == len(frame) == 4 * H
    assert [event.state for event in record.history] == ["planned", "computed", "staged", "committed"]
    assert set(record.facts) == {"data", "model", "settings"}


def test_running_again_changes_nothing(tmp_path):
    job = sales_job(tmp_path)
    first = run(job, SLOT)
    before = files(tmp_path / "out")
    again = run(sales_job(tmp_path), SLOT)
    assert (again.state, again.exit_code, again.run) == ("unchanged", 0, first.run)
    assert "nothing to do" in again.text
    assert files(tmp_path / "out") == before
    assert len(ledger_of(job).runs()) == 1


def test_the_order_of_the_rows_and_other_rows_of_the_future_change_nothing(tmp_path):
    run(sales_job(tmp_path), SLOT)
    shuffled = sales().sample(frac=1, random_state=1)
    shuffled.loc[shuffled["ds"] >= "2026-04-01", "y"] = 1e9
    assert run(sales_job(tmp_path, shuffled), SLOT).state == "unchanged"


def test_changed_data_make_a_new_version_and_the_old_one_stays_readable(tmp_path):
    job = sales_job(tmp_path)
    first = run(job, SLOT)
    old = published(job)
    corrected = sales()
    corrected.loc[corrected["ds"] == "2026-03-31", "y"] += 5.0
    second = run(sales_job(tmp_path, corrected), SLOT)
    assert (second.state, second.version) == ("committed", 2)
    changed = published(job)["mean"] - old["mean"]
    assert np.flatnonzero(changed).tolist() == [H - 1, 2 * H - 1, 3 * H - 1, 4 * H - 1]
    pd.testing.assert_frame_equal(job.open_sink().read("sales", [first.run]), old)
    difference = ledger_of(job).diff(first.run, second.run)
    assert (difference.new_data, difference.new_model, difference.new_settings) == (True, False, False)
    back = run(job, SLOT)  # the correction is taken back
    assert (back.version, back.state) == (3, "committed")
    np.testing.assert_array_equal(published(job)["mean"], old["mean"])


def test_other_settings_make_a_new_version_and_those_that_change_no_forecast_do_not(tmp_path):
    run(sales_job(tmp_path), SLOT)
    assert run(sales_job(tmp_path, chunk=1, keep_models=2, schedule=Schedule("0 6 * * *")), SLOT).state == "unchanged"
    assert run(sales_job(tmp_path, level=(80, 95)), SLOT).version == 2


def test_the_slot_is_the_latest_of_the_schedule_or_the_current_step(tmp_path):
    def clock():
        return datetime(2026, 4, 1, 14, 30, tzinfo=UTC)

    assert run(sales_job(tmp_path), clock=clock).slot == SLOT
    scheduled = sales_job(tmp_path, schedule=Schedule("0 6 * * *"))
    assert run(scheduled, clock=clock).slot == SLOT.replace(hour=6)
    abroad = sales_job(tmp_path, zone="Asia/Tokyo")
    assert run(abroad, clock=clock).slot == datetime(2026, 3, 31, 15, tzinfo=UTC)


def test_a_bad_series_is_named_and_harms_no_other(tmp_path):
    good = sales(series=30)
    run(sales_job(tmp_path / "good", good), SLOT)
    poisoned = good.copy()
    poisoned.loc[(poisoned["unique_id"] == "shop 7") & (poisoned["ds"] == "2026-03-30"), "y"] = np.inf
    job = sales_job(tmp_path / "bad", poisoned)
    outcome = run(job, SLOT)
    assert outcome.exit_code == 3 and list(outcome.quarantined) == ["shop 7"]
    assert "shop 7" in outcome.text and "infinite" in outcome.text
    expected, found = published(sales_job(tmp_path / "good")), published(job)
    others = expected["unique_id"] != "shop 7"
    columns = ["unique_id", "ds", "mean", "lo-80", "hi-80", "source"]
    pd.testing.assert_frame_equal(found.loc[others, columns], expected.loc[others, columns])
    mine = found[~others]
    assert np.isfinite(mine["mean"]).all() and mine["reason"].str.contains("quarantined").all()
    assert ledger_of(job).show(outcome.run).counts["quarantined"] == 1


def test_a_net_is_trained_once_and_kept(tmp_path, quick):
    policy = ModelPolicy(LSTM(input_size=14, hidden_size=4), training=quick, gate=None)
    job = sales_job(tmp_path, model=policy)
    first = run(job, SLOT)
    assert (first.state, first.counts) == ("committed", {"lstm": 4})
    assert run(job, SLOT).state == "unchanged"
    next_day = run(job, SLOT.replace(day=2))
    assert next_day.counts == {"lstm": 4}
    records = [ledger_of(job).show(outcome.run) for outcome in (first, next_day)]
    assert records[0].model_hash == records[1].model_hash
    assert records[0].facts["model"]["trained"] and not records[1].facts["model"]["trained"]
    frame = published(job)
    assert set(frame["model"]) == {"lstm"} and np.isfinite(frame["mean"]).all()


def test_a_run_gives_what_the_notebook_gives(tmp_path, quick):
    rows = sales()
    past = rows[rows["ds"] < "2026-04-01"]
    fitted = Forecaster(LSTM(input_size=14, hidden_size=4), H, "D", training=quick, progress=False).fit(past)
    fitted.save(tmp_path / "saved")
    expected = fitted.predict(level=[80])
    job = sales_job(tmp_path, model=ModelPolicy(saved=tmp_path / "saved"))
    assert run(job, SLOT).exit_code == 0
    found = published(job)
    for name, column in (("mean", "lstm"), ("lo-80", "lstm-lo-80"), ("hi-80", "lstm-hi-80")):
        np.testing.assert_array_equal(found[name], expected[column])


def test_without_a_usable_model_there_is_a_forecast_all_the_same(tmp_path):
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "model.json").write_text("{}")
    outcome = run(sales_job(tmp_path, model=ModelPolicy(saved=tmp_path / "saved")), SLOT)
    assert (outcome.state, outcome.exit_code) == ("committed", 3)
    assert sum(outcome.counts.values()) == 4 and set(outcome.counts) <= {"ets", "seasonal_naive", "naive"}
    frame = published(sales_job(tmp_path))
    assert np.isfinite(frame["mean"]).all() and frame["reason"].str.contains("not a model of ours").all()


def test_a_source_that_cannot_be_read_fails_the_run_and_the_ledger_says_why(tmp_path):
    job = sales_job(tmp_path, source=FileSource(str(tmp_path / "nothing*.csv"), patience=0.0))
    with pytest.raises(StorageError, match="nothing"):
        run(job, SLOT)
    outcome = attempt(job, SLOT)
    assert (outcome.state, outcome.exit_code) == ("failed", 8)
    (row,) = ledger_of(job).runs().itertuples()
    assert row.state == "failed" and "StorageError" in row.error
    assert not (tmp_path / "out" / "sales").exists()
    assert run(sales_job(tmp_path), SLOT).state == "committed"


def test_broken_contracts_publish_nothing(tmp_path):
    job = sales_job(tmp_path, contract=Contract(min_series=5))
    outcome = attempt(job, SLOT)
    assert outcome.exit_code == 4 and "4 series" in outcome.text
    assert isinstance(outcome.error, DataError)
    assert len(published(job)) == 0
    flagged = run(sales_job(tmp_path, contract=Contract(min_series=5, on_violation="flag")), SLOT)
    assert flagged.state == "committed" and any("4 series" in note for note in flagged.notes)


def test_checking_and_rehearsing_write_nothing(tmp_path):
    job = sales_job(tmp_path)
    checked = check(job, SLOT)
    planned = rehearse(job, SLOT)
    assert list(tmp_path.iterdir()) == []
    assert (checked.state, planned.state) == ("checked", "planned")
    assert "360 rows of 4 series, up to 2026-03-31" in checked.text
    assert "28 forecasts" in planned.text and "it would be version 1" in planned.text and "trained" in planned.text
    with pytest.raises(DataError, match="5"):
        check(replace(job, contract=Contract(min_series=5)), SLOT)
    run(job, SLOT)
    before = files(tmp_path)
    assert "is published from the same data" in rehearse(job, SLOT).text
    assert "the settings changed" in rehearse(replace(job, level=(90,)), SLOT).text
    assert files(tmp_path) == before


def test_a_sink_that_is_away_gets_its_forecasts_from_the_next_run(tmp_path):
    golden = sales_job(tmp_path / "golden", sink=SqlSink(f"sqlite:///{tmp_path / 'golden.db'}"))
    run(golden, SLOT)
    away = sales_job(tmp_path, sink=SqlSink(NOWHERE, patience=0.0))
    outcome = run(away, SLOT)
    assert (outcome.state, outcome.exit_code) == ("spooled", 8)
    assert run(away, SLOT).state == "spooled"  # and again, without doubling anything
    back = sales_job(tmp_path, sink=SqlSink(f"sqlite:///{tmp_path / 'back.db'}"))
    assert run(back, SLOT).state == "unchanged"  # delivered first, then nothing is left to do
    pd.testing.assert_frame_equal(published(back), published(golden))
    assert list((tmp_path / "job" / "spool").iterdir()) == []
    (note,) = (tmp_path / "job" / "offline").iterdir()
    os.utime(note, (0, 0))  # it is removed once it is old
    run(back, SLOT)
    assert not note.exists()
    assert ledger_of(back).committed("sales")["run"].tolist() == [outcome.run]


def test_a_ledger_that_is_away_does_not_stop_the_forecasts(tmp_path):
    golden = sales_job(tmp_path / "golden")
    run(golden, SLOT)
    away = sales_job(tmp_path, ledger=NOWHERE)
    outcome = run(away, SLOT)
    assert (outcome.state, outcome.exit_code) == ("spooled", 8)
    back = sales_job(tmp_path)
    next_day = run(back, SLOT.replace(day=2))
    assert next_day.state == "committed"
    frame = published(back)
    first = frame[frame["slot"] == pd.Timestamp(SLOT)].reset_index(drop=True)
    pd.testing.assert_frame_equal(first, published(golden))
    assert ledger_of(back).committed("sales")["version"].tolist() == [1, 1]
    assert ledger_of(back).show(outcome.run).facts["data"]["series"] == 4


def test_forecasts_out_of_date_leave_the_spool_unpublished(tmp_path):
    run(sales_job(tmp_path, sink=SqlSink(NOWHERE, patience=0.0)), SLOT)
    kept = {
        path: path.read_bytes() for path in (tmp_path / "job").rglob("*") if path.parent.name in ("spool", "offline")
    }
    corrected = sales()
    corrected["y"] += 1.0
    back = sales_job(tmp_path, corrected)
    assert run(back, SLOT).version == 2  # the spool was delivered as version 1, then the correction
    expected = published(back)
    for path, content in kept.items():  # as if the first delivery had not been noticed
        path.write_bytes(content)
    assert run(back, SLOT).state == "unchanged"
    pd.testing.assert_frame_equal(published(back), expected)


def test_a_sink_that_does_not_fit_fails_before_any_training(tmp_path):
    (tmp_path / "out").write_text("a file")
    job = sales_job(tmp_path, model="lstm")
    outcome = attempt(job, SLOT)
    assert outcome.exit_code == 8 and "out" in outcome.text
    assert not (tmp_path / "job" / "models").exists()


def test_somebody_elses_slot_is_left_to_them(tmp_path):
    job = sales_job(tmp_path)
    with (
        ledger_of(job).open().held("sales", SLOT, owner="somebody"),
        pytest.raises(AlreadyRunningError, match="somebody"),
    ):
        run(job, SLOT)
    assert len(ledger_of(job).runs()) == 0
    assert run(job, SLOT).state == "committed"


def test_forecasts_and_ledger_are_committed_in_one_transaction_where_they_share_a_database(tmp_path, database_url):
    job = sales_job(tmp_path, sink=SqlSink(database_url), ledger=database_url)
    first = run(job, SLOT)
    assert run(job, SLOT).state == "unchanged"
    corrected = sales()
    corrected["y"] += 1.0
    assert run(sales_job(tmp_path, corrected, sink=SqlSink(database_url), ledger=database_url), SLOT).version == 2
    expected = sales_job(tmp_path / "files")
    run(expected, SLOT)
    old = job.open_sink().read("sales", [first.run])
    pd.testing.assert_frame_equal(old, published(expected))


def test_a_job_without_a_sink_keeps_everything_in_its_folder(tmp_path):
    job = sales_job(tmp_path, sink=None)
    run(job, SLOT)
    assert len(published(job)) == 4 * H
    assert {path.name for path in tmp_path.iterdir()} == {"job"}


def test_the_watch_alerts_and_reports_without_changing_what_is_published(tmp_path):
    job = sales_job(tmp_path, watch=WatchSettings())
    assert run(job, SLOT).exit_code == 0
    fewer = sales(series=3)
    outcome = run(sales_job(tmp_path, fewer, watch=WatchSettings()), SLOT.replace(day=2))
    assert outcome.exit_code == 10 and any("shop 3" in alert for alert in outcome.alerts)
    reports = sorted(path.name for path in (tmp_path / "job" / "reports").iterdir())
    assert reports == ["20260401T000000Z-v1.html", "20260402T000000Z-v1.html"]
    failed = attempt(sales_job(tmp_path, contract=Contract(min_series=9), watch=WatchSettings()), SLOT.replace(day=3))
    assert failed.exit_code == 4
    assert "9" in (tmp_path / "job" / "reports" / "20260403T000000Z.html").read_text()


def test_times_with_a_zone_and_integer_ids_survive(tmp_path):
    rows = sales()
    rows["ds"] = rows["ds"].dt.tz_localize("Europe/Berlin")
    rows["unique_id"] = rows["unique_id"].str[5:].astype(int)
    job = sales_job(tmp_path, rows, zone="Europe/Berlin")
    run(job, "2026-04-01")
    frame = published(job)
    assert str(frame["ds"].dtype) == "datetime64[us, Europe/Berlin]"
    assert frame["ds"].iloc[0] == pd.Timestamp("2026-04-01", tz="Europe/Berlin")
    assert frame["unique_id"].unique().tolist() == [0, 1, 2, 3]
    assert frame["slot"].iloc[0] == pd.Timestamp("2026-03-31T22:00Z")


def test_static_features_are_part_of_the_data(tmp_path):
    static = pd.DataFrame({"unique_id": [f"shop {n}" for n in range(4)], "size": [1.0, 2.0, 3.0, 4.0]})
    run(sales_job(tmp_path, static=static), SLOT)
    assert run(sales_job(tmp_path, static=static.iloc[::-1]), SLOT).state == "unchanged"
    assert run(sales_job(tmp_path, static=static.assign(size=1.0)), SLOT).version == 2


def test_integer_times_need_a_column_that_says_when_each_row_came(tmp_path):
    rows = sales().assign(came=lambda frame: frame["ds"] + pd.Timedelta("1D"))
    rows["ds"] = (rows["ds"] - FIRST).dt.days
    with pytest.raises(ConfigError, match="known_col"):
        run(sales_job(tmp_path, rows, freq=1), SLOT)
    job = sales_job(tmp_path, rows, freq=1, known_col="came", season_length=7)
    run(job, SLOT)
    assert published(job)["ds"].tolist() == list(range(90, 97)) * 4


def test_the_table_of_forecasts_has_every_number_in_its_place(tmp_path):
    """The columns are built by repeating places; here they are built one row at a time."""
    from forecast.batch.models.fallback import Forecasts
    from forecast.forecasts import wanted
    from forecast.ingest.door import to_panel

    rng = np.random.default_rng(0)
    panel = to_panel(sales(days=9, series=3), freq="D")
    asked = wanted([80], [0.1])
    probs = asked.probs
    made = Forecasts(
        rng.normal(size=(3, 2)),
        np.sort(rng.normal(size=(3, 2, len(probs)))),
        probs,
        np.array(["a", "b", "a"], dtype=object),
        np.array(["", "why", ""], dtype=object),
    )
    frame = forecast_table(panel, made, asked, "own", form_of(panel, asked))
    assert list(frame.columns[5:]) == ["mean", "lo-80", "hi-80", "q-0.1", "source", "reason"]
    for number, row in enumerate(frame.to_dict("records")):
        s, step = divmod(number, 2)
        assert row["unique_id"] == f"shop {s}" and row["step"] == step + 1
        assert row["ds"] == pd.Timestamp("2026-01-10") + pd.Timedelta(days=step)
        assert row["cutoff"] == pd.Timestamp("2026-01-09") and row["model"] == "own"
        assert row["mean"] == made.point[s, step] and row["source"] == made.source[s]
        assert row["lo-80"] == row["q-0.1"] == made.quantiles[s, step, probs.index(0.1)]
        assert row["hi-80"] == made.quantiles[s, step, probs.index(0.9)] and row["reason"] == made.reason[s]


def test_a_function_that_fails_in_its_own_way_is_not_hidden(tmp_path):
    def broken(_):
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        run(sales_job(tmp_path, source=FunctionSource(broken, patience=0.0)), SLOT)
    assert ledger_of(sales_job(tmp_path)).runs()["error"].str.contains("ZeroDivisionError").all()


def test_a_damaged_model_store_does_not_stop_the_job(tmp_path):
    job = sales_job(tmp_path)
    run(job, SLOT)
    for name in ("current.json", "previous.json"):
        (tmp_path / "job" / "models" / name).write_text("damaged")
    outcome = run(job, SLOT.replace(day=2))
    assert (outcome.state, outcome.exit_code) == ("committed", 3)
    assert np.isfinite(published(job)["mean"]).all()
    assert not isinstance(outcome.error, ArtifactError)


def test_the_source_and_the_sink_are_asked_once(tmp_path):
    asked = []

    def rows(as_of):
        asked.append(as_of)
        return sales()

    job = sales_job(tmp_path, source=FunctionSource(rows, patience=0.0), sink=FolderSink(tmp_path / "out"))
    run(job, SLOT)
    assert asked == [SLOT]
    assert table(sales()).describe()["kind"] == "function"


@pytest.mark.parametrize("content", ["", "[]", '{"slot": 1}', None])
def test_a_lost_note_is_made_up_for_by_the_ledger_or_reported(tmp_path, content):
    """What a run in the spool had used is told beside it, and by the ledger if that knew of the run."""
    database = f"sqlite:///{tmp_path / 'back.db'}"

    def spoil(folder):
        for note in (folder / "job" / "offline").iterdir():
            note.unlink() if content is None else note.write_text(content)

    run(sales_job(tmp_path, sink=SqlSink(NOWHERE, patience=0.0)), SLOT)
    spoil(tmp_path)
    back = sales_job(tmp_path, sink=SqlSink(database))
    assert run(back, SLOT).state == "unchanged"
    assert len(published(back)) == 4 * H
    lost = tmp_path / "lost"
    run(sales_job(lost, ledger=NOWHERE), SLOT)
    spoil(lost)
    outcome = run(sales_job(lost), SLOT.replace(day=2))
    assert outcome.state == "committed" and any("Run that slot again" in note for note in outcome.notes)
