"""Live scores: the one implementation of metrics, and the same sums however the actuals came."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecast.batch import points
from forecast.batch.watch.accuracy import accuracy
from forecast.batch.watch.actuals import join_actuals
from forecast.batch.watch.scores import metrics, outputs, tally
from forecast.report.evaluate import evaluate
from forecast.report.metrics import mae, mase, smape, wql


def as_backtest(joined: pd.DataFrame) -> pd.DataFrame:
    """A joined frame as what ``evaluate`` reads."""
    numbers = [c for c in joined.columns if c.startswith(("lo-", "hi-", "q-"))]
    renamed = joined.rename(columns={"mean": "own", **{name: f"own-{name}" for name in numbers}})
    return renamed[["unique_id", "ds", "cutoff", "y", "own", *(f"own-{name}" for name in numbers)]]


def test_a_cell_has_the_scores_that_the_backtest_gives_by_step(shop_of) -> None:
    shop = shop_of()
    frame = shop.frame(shop.panel(60))
    panel = shop.panel(70)
    joined = join_actuals(frame, panel, 7)
    table = metrics(tally(joined), ["step"])
    expected = evaluate(as_backtest(joined), panel, 7, by="step")
    for ours, theirs in {"mae": "mae", "mase": "mase", "smape": "smape", "wql": "wql", "n": "n_points"}.items():
        np.testing.assert_allclose(table[ours], expected[theirs], rtol=1e-12)
    for level in ("80", "95"):
        np.testing.assert_allclose(table[f"coverage-{level}"], expected[f"coverage-{level}"], rtol=1e-12)
        np.testing.assert_allclose(table[f"width-{level}"], expected[f"width-{level}"], rtol=1e-12)


def test_the_scores_of_one_series_are_those_computed_by_hand() -> None:
    frame = pd.DataFrame(
        {"unique_id": "a", "step": [1, 2], "model": "m", "source": "m", "reason": "", "mean": [4.0, 6.0],
         "q-0.1": [4.0, 6.0], "lo-80": [3.0, 5.0], "hi-80": [5.0, 7.0], "y": [5.0, 4.0], "scale": 5 / 3, "target": [1, 2]}
    )  # fmt: skip
    table = metrics(tally(frame))
    y, forecast, past = [5.0, 4.0], [4.0, 6.0], [1.0, 3.0, 2.0, 4.0]
    assert table["mae"].item() == mae(y, forecast) == 1.5
    assert table["mase"].item() == pytest.approx(mase(y, forecast, past)) == 0.9
    assert table["smape"].item() == pytest.approx(smape(y, forecast))
    assert table["wql"].item() == pytest.approx(wql(y, forecast, 0.1))
    assert table["bias"].item() == 0.5
    assert table["coverage-80"].item() == 0.5
    assert table["width-80"].item() == 2.0


def test_what_cannot_be_scored_is_left_out_and_not_counted() -> None:
    frame = pd.DataFrame(
        {"unique_id": list("abcd"), "step": 1, "model": "m", "source": list("mmnn"), "reason": "",
         "mean": [1.0, np.nan, 2.0, 3.0], "lo-80": [0.0, 0.0, np.nan, -np.inf], "hi-80": [2.0, 2.0, 3.0, np.inf],
         "y": [1.0, 1.0, 4.0, np.nan], "scale": [np.nan, 1.0, 2.0, 1.0], "target": 1}
    )  # fmt: skip
    table = metrics(tally(frame), ["source"]).set_index("source")
    assert table["n"].to_dict() == {"m": 1, "n": 1}
    assert np.isnan(table.loc["m", "mase"])
    assert table.loc["n", "mase"] == 1.0
    assert table["coverage-80"].fillna(-1).to_dict() == {"m": 1.0, "n": -1.0}


def test_no_known_actual_gives_an_empty_table_with_its_columns() -> None:
    frame = pd.DataFrame(
        {"unique_id": ["a"], "step": [1], "model": "m", "source": "m", "reason": "", "mean": [1.0], "lo-80": [0.0],
         "hi-80": [2.0], "y": [np.nan], "scale": [1.0], "target": [1]}
    )  # fmt: skip
    sums = tally(frame)
    assert len(sums.points) == len(sums.levels) == 0
    assert metrics(sums, ["step"]).empty
    assert outputs(frame).intervals == {"80": ("lo-80", "hi-80")}


def test_actuals_are_joined_by_series_and_stamp_and_nothing_else(shop_of) -> None:
    shop = shop_of()
    frame = shop.frame(shop.panel(60)).sample(frac=1, random_state=1)
    extra = frame.assign(unique_id="nobody")
    joined = join_actuals(pd.concat([frame, extra]), shop.panel(62), 7)
    known = joined[joined["y"].notna()]
    assert set(known["step"]) == {1, 2}
    assert set(known["unique_id"]) == {"s0", "s1", "s2"}
    for row in known.itertuples():
        assert row.y == shop.values[int(row.unique_id[1:]), 59 + row.step]
    assert joined["scale"].isna().sum() == len(extra)


def test_rows_after_a_cutoff_do_not_change_its_scale(shop_of) -> None:
    shop = shop_of()
    frame = shop.frame(shop.panel(60))
    before = join_actuals(frame, shop.panel(60), 7)["scale"]
    shop.values[:, 60:] = 1e9
    pd.testing.assert_series_equal(join_actuals(frame, shop.panel(100), 7)["scale"], before)


def counting(shop) -> list[str]:
    """The runs whose forecasts are read from the sink from now on."""
    read: list[str] = []
    original = shop.sink.read

    def note(job: str, runs=None, between=None):
        read.extend(runs or [])
        return original(job, runs, between)

    shop.sink.read = note
    return read


def table(shop, *by: str) -> pd.DataFrame:
    keys = list(by or ("run", "step"))
    return accuracy(shop.store, "shop", shop.current, keys).set_index(keys)


def test_daily_watching_gives_the_sums_that_one_late_look_gives(shop_of, cells) -> None:
    daily, late = shop_of(name="daily"), shop_of(name="late")
    for day in range(60, 66):
        daily.run(day)
    for day in range(60, 65):
        late.publish(day)
    late.run(65)
    pd.testing.assert_frame_equal(cells(daily), cells(late), rtol=1e-12)
    assert table(daily, "step")["n"].to_dict() == {1: 15, 2: 12, 3: 9}


def test_only_runs_whose_actuals_changed_are_read_again(shop_of) -> None:
    shop = shop_of()
    for day in range(60, 66):
        shop.run(day)
    read = counting(shop)
    facts = shop.publish(66)
    shop.look(facts)
    # The last run's forecasts are read once, to be compared; of the others the two that reach the new day.
    assert sorted(read) == sorted(shop.current[-4:-1])
    read.clear()
    shop.look(facts)
    assert read == shop.current[-2:-1]


def test_a_corrected_actual_changes_the_scores_of_the_runs_that_forecast_it_and_no_others(shop_of) -> None:
    shop = shop_of()
    for day in range(60, 68):
        shop.run(day)
    before = table(shop)
    shop.values[1, 64] += 50.0
    shop.run(68)
    after = table(shop).loc[before.index]
    changed = before.index[(before["mae"] != after["mae"]).to_numpy()]
    # Day 64 is step s of the run of day 65 - s; other cells are as they were.
    assert set(changed) == {(shop.current[65 - step - 60], step) for step in (1, 2, 3)}
    joined = join_actuals(shop.frame(shop.panel(64)), shop.panel(68), 7)
    expected = metrics(tally(joined[joined["step"] == 1]))["mae"].item()
    assert after.loc[(shop.current[4], 1), "mae"] == pytest.approx(expected)


def test_a_late_row_is_scored_when_it_comes(shop_of) -> None:
    shop = shop_of()
    missing = shop.values[2, 62]
    shop.values[2, 62] = np.nan
    for day in range(60, 66):
        shop.run(day)
    assert table(shop)["n"].loc[(shop.current[2], 1)] == 2
    shop.values[2, 62] = missing
    shop.run(66)
    assert table(shop)["n"].loc[(shop.current[2], 1)] == 3


def test_series_that_are_always_late_are_scored_with_their_own_cutoffs(shop_of, cells) -> None:
    """One series' rows come two days after the others', so its forecasts begin two days earlier."""
    shop = shop_of()

    def late(day: int):
        frame = shop.frame(shop.panel(day))
        earlier = shop.frame(shop.panel(day - 2))
        of_late = (frame["unique_id"] == "s2").to_numpy()
        return pd.concat([frame[~of_late], earlier[of_late]], ignore_index=True)

    for day in range(60, 67):
        held, shop.values[2, day - 2 : day] = shop.values[2, day - 2 : day].copy(), np.nan
        facts = shop.publish(day, late(day))
        shop.look(facts)
        shop.values[2, day - 2 : day] = held
    assert table(shop, "step", "source")["n"].tolist() == [2 * 6 + 6, 2 * 5 + 5, 2 * 4 + 4]
    joined = [join_actuals(shop.sink.read("shop", [run]), shop.panel(66), 7) for run in shop.current]
    every = pd.concat(joined)
    every = every[(every["unique_id"] != "s2") | (every["ds"] < pd.Timestamp("2026-03-06"))]
    np.testing.assert_allclose(table(shop, "step")["mae"], metrics(tally(every), ["step"])["mae"])


def test_a_new_series_with_a_past_makes_no_older_run_due(shop_of, values) -> None:
    shop = shop_of(values(4, 200))
    shop.absent = {"s3"}
    for day in range(60, 66):
        shop.run(day)
    shop.absent = set()
    read = counting(shop)
    shop.run(66)
    assert len(read) == 3
    read.clear()
    shop.run(67)
    assert len(read) == 3


def test_rows_that_the_source_no_longer_has_keep_their_scores(shop_of) -> None:
    shop = shop_of()
    for day in range(60, 67):
        shop.run(day)
    before = table(shop)
    shop.values[:, :64] = np.nan
    shop.run(67)
    after = table(shop)
    old = [key for key in before.index if shop.current.index(key[0]) + 60 + key[1] - 1 < 64]
    assert len(old) == 9
    pd.testing.assert_frame_equal(before.loc[old], after.loc[old])


def test_a_backfill_never_overwrites_what_later_slots_know(shop_of, cells) -> None:
    straight, back = shop_of(name="straight"), shop_of(name="back")
    for day in range(60, 67):
        straight.run(day)
    for day in (60, 61, 64, 65, 62, 63, 66):
        back.run(day)
    pd.testing.assert_frame_equal(cells(straight), cells(back), rtol=1e-12)


@pytest.mark.parametrize("point", ["watch.joined", "watch.scored", "watch.noted"])
def test_a_watch_that_dies_is_made_good_by_the_next(shop_of, cells, point: str, monkeypatch) -> None:
    golden, shop = shop_of(name="golden"), shop_of(name="shop")
    for day in range(60, 66):
        golden.publish(day)
    golden.look(golden.publish(66))
    for day in range(60, 64):
        shop.publish(day)
    shop.run(64)
    facts = shop.publish(65)

    class Died(BaseException):
        pass

    def die(at: str) -> None:
        if at == point:
            raise Died

    monkeypatch.setattr(points, "listener", die)
    with pytest.raises(Died):
        shop.look(facts)
    monkeypatch.setattr(points, "listener", None)
    shop.run(66)
    pd.testing.assert_frame_equal(cells(golden), cells(shop), rtol=1e-12)


def test_a_new_version_of_a_slot_takes_the_place_of_the_old_one_in_the_table(shop_of) -> None:
    shop = shop_of()
    for day in range(60, 63):
        shop.run(day)
    first = shop.current[-1]
    shop.config_hash = "c2"
    shop.run(62, shift=3.0)
    assert shop.current[-1] != first
    assert len(shop.current) == 3
    shop.run(63)
    assert set(table(shop, "run").index) == set(shop.current[:-1])


def test_integer_ids_are_joined_as_well(shop_of) -> None:
    shop = shop_of(ids=[7, 11, 2**40])
    for day in range(60, 64):
        findings = shop.run(day)
    assert accuracy(shop.store, "shop", shop.current, [])["n"].item() == 3 * (3 + 2 + 1)
    assert not [alert for alert in findings.alerts if alert.kind in ("watch", "ids")]


def test_both_databases_keep_the_same_sums_profiles_and_alerts(shop_of, cells, postgres_database: str) -> None:
    sqlite, postgres = shop_of(name="sqlite"), shop_of(name="postgres", url=postgres_database)
    for shop in (sqlite, postgres):
        for day in range(60, 64):
            shop.absent = {"s2"} if day == 63 else set()
            findings = shop.run(day)
        assert "ids" in {alert.kind for alert in findings.alerts}
    pd.testing.assert_frame_equal(cells(sqlite), cells(postgres), check_exact=True)
    assert sqlite.store.profiles("shop", 2**62, 9) == postgres.store.profiles("shop", 2**62, 9)
    pd.testing.assert_frame_equal(sqlite.store.alerts("shop", 0), postgres.store.alerts("shop", 0))
    pd.testing.assert_frame_equal(sqlite.store.known("shop"), postgres.store.known("shop"))


def test_the_tables_that_the_migration_makes_are_the_tables_that_are_used(database_url: str) -> None:
    from sqlalchemy import inspect

    from forecast.batch.ledger.ledger import Ledger
    from forecast.batch.watch.tables import metadata

    inspector = inspect(Ledger(database_url).open().engine)
    for table in metadata.sorted_tables:
        found = {column["name"]: column for column in inspector.get_columns(table.name)}
        assert set(found) == {column.name for column in table.columns}
        key = inspector.get_pk_constraint(table.name)["constrained_columns"]
        assert key == [column.name for column in table.primary_key]
        for column in table.columns:
            assert found[column.name]["type"].python_type is column.type.python_type
            assert found[column.name]["nullable"] == bool(column.nullable)
    names = {name for name in inspector.get_table_names() if name.startswith("forecast_watch_")}
    assert names == {table.name for table in metadata.sorted_tables}
