"""Bad series are named and mended, good ones stay as they are, every series is there."""

from __future__ import annotations

import json
import warnings
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast import Forecaster, Schema
from forecast.batch.contract import Contract
from forecast.batch.demands import Demands, SideTables
from forecast.batch.known import Arrival
from forecast.batch.quarantine import Inspection, inspect_rows
from forecast.errors import ConfigError, DataError, ForecastWarning
from forecast.ingest.door import to_panel
from forecast.ingest.terms import Terms
from forecast.panel.panel import Panel

SCHEMA = Schema()
NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)


def good_rows(
    names: tuple[object, ...] = ("a", "b", "c"), length: int = 8, freq: str = "D", tz: str | None = None
) -> pd.DataFrame:
    stamps = pd.date_range("2024-01-01", periods=length, freq=freq, tz=tz)
    ids = pd.Series(names).repeat(length).to_numpy()
    y = np.add.outer(10.0 * np.arange(len(names)), np.arange(length)).ravel()
    return pd.DataFrame({"unique_id": ids, "ds": stamps[np.tile(np.arange(length), len(names))], "y": y})


def with_rows(frame: pd.DataFrame, *others: tuple[object, object, object]) -> pd.DataFrame:
    more = pd.DataFrame(others, columns=["unique_id", "ds", "y"])
    if frame["ds"].dtype.kind == "M":
        more["ds"] = pd.to_datetime(more["ds"], format="ISO8601")
    return pd.concat([frame, more], ignore_index=True)


def values_of(panel: Panel, name: object) -> list[float]:
    return [float(value) for value in panel.each()[panel.ids.get_loc(name)]]


def same_panel(one: Panel, two: Panel) -> None:
    assert one.ids.tolist() == two.ids.tolist() and one.timeline == two.timeline
    np.testing.assert_array_equal(one.values, two.values)
    np.testing.assert_array_equal(one.offsets, two.offsets)
    np.testing.assert_array_equal(one.first, two.first)


def inspected(
    frame: pd.DataFrame,
    schema: Schema = SCHEMA,
    freq: Any = "D",
    *,
    as_of: datetime | int | None = None,
    known: Panel | None = None,
    static: Any = None,
    **demands: Any,
) -> Inspection:
    arrival = None if as_of is None else Arrival(freq, as_of)
    return inspect_rows(frame, Terms(schema, freq, known), Demands(arrival=arrival, **demands), SideTables(static))


def test_good_rows_are_read_as_a_forecaster_reads_them():
    frame = good_rows()
    found = inspected(frame)
    same_panel(found.panel, to_panel(frame, freq="D"))
    assert found.quarantined == {} and found.good.tolist() == [0, 1, 2]


nan = float("nan")
RISING = [10.0 + n for n in range(8)]  # series "b" as it should be
# What is done to series "b", a word of the fault, what is left of its values.
BAD: dict[str, tuple[pd.DataFrame, str, list[float]]] = {
    "a doubled row": (with_rows(good_rows(), ("b", "2024-01-03", 99.0)), "duplicate times", [10, 11, 99, 13, 14, 15, 16, 17]),
    "a doubled row without a value": (with_rows(good_rows(), ("b", "2024-01-03", nan)), "duplicate times", RISING),
    "an infinite value": (
        good_rows().assign(y=lambda f: f["y"].where(f["y"] != 12.0, np.inf)), "infinite", [10, 11, nan, 13, 14, 15, 16, 17],
    ),
    "a value that is no number": (
        good_rows().astype({"y": object}).assign(y=lambda f: f["y"].where(f["y"] != 17.0, "n/a")), "not numbers: 'n/a'", [*RISING[:7], nan],
    ),
    "a stamp off the grid": (with_rows(good_rows(), ("b", "2024-01-03T10:00", 99.0)), "off the grid", RISING),
    "no stamp": (with_rows(good_rows(), ("b", None, 99.0)), "the time is missing", RISING),
    "a stamp that is no date": (
        with_rows(good_rows().assign(ds=lambda f: f["ds"].dt.strftime("%Y-%m-%d")), ("b", "yesterday", 99.0)), "not ISO dates: 'yesterday'", RISING,
    ),
    "a stamp of another age": (with_rows(good_rows(), ("b", "1970-01-01", 99.0)), "a jump of more than 50 steps", RISING),
    "a stamp of the future": (with_rows(good_rows(), ("b", "2099-01-01", 99.0)), "a jump of more than 50 steps", RISING),
    "no value at all": (good_rows().assign(y=lambda f: f["y"].where(f["unique_id"] != "b")), "no known value", [nan] * 8),
    "no readable value at all": (
        good_rows().assign(y=lambda f: f["y"].where(f["unique_id"] != "b", -np.inf)), "infinite", [nan] * 8,
    ),
    "no readable stamp at all": (
        good_rows().assign(ds=lambda f: f["ds"].where(f["unique_id"] != "b")), "the time is missing", [nan],
    ),
    "another phase": (
        good_rows().assign(ds=lambda f: f["ds"] + pd.to_timedelta((f["unique_id"] == "b").astype(int), unit="h")), "off the grid", [nan],
    ),
    "another frequency": (
        good_rows().assign(ds=lambda f: f["ds"].where(f["unique_id"] != "b", pd.Timestamp("2024-01-01") + (f["ds"] - f["ds"].min()) * 7)),
        "7 steps apart", [value for v in RISING for value in [v, *[nan] * 6]][:50],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_series_is_named_and_mended_and_the_others_are_as_without_it(case):
    frame, words, left = BAD[case]
    before = frame.copy(deep=True)
    found = inspected(frame)
    assert list(found.quarantined) == ["b"]
    fault = found.quarantined["b"][0]
    assert words in fault.problem and fault.series == "b" and fault.remedy
    assert found.panel.ids.tolist() == ["a", "b", "c"]
    np.testing.assert_array_equal(values_of(found.panel, "b"), left)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ForecastWarning)  # of dates that were text
        same_panel(found.panel.take(found.good), to_panel(frame[frame["unique_id"] != "b"], freq="D"))
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize("case", BAD)
def test_rows_of_faults_are_places_in_the_frame_given(case):
    frame = BAD[case][0].sample(frac=1, random_state=4)
    for fault in inspected(frame).quarantined["b"]:
        assert set(frame["unique_id"].iloc[list(fault.rows)]) <= {"b"}
        if "not numbers" in fault.problem:
            assert frame["y"].iloc[list(fault.rows)].tolist() == ["n/a"]


def test_series_of_which_nothing_is_known_are_told_apart():
    for case in ("no value at all", "no readable value at all", "no readable stamp at all"):
        assert inspected(BAD[case][0]).blank.tolist() == [1]
    assert inspected(BAD["an infinite value"][0]).blank.tolist() == []


def test_a_series_without_a_readable_row_ends_where_the_data_end():
    found = inspected(BAD["no readable stamp at all"][0])
    assert found.panel.last.tolist() == [found.panel.last[0]] * 3
    assert found.facts["cutoff"] == "2024-01-08T00:00:00"


def test_all_faults_of_a_series_are_told():
    frame = with_rows(good_rows(), ("b", "2024-01-03", np.inf), ("b", None, 1.0), ("b", "2024-01-03T01:00", 1.0))
    assert len(inspected(frame).quarantined["b"]) == 4


POISONS = {
    "double": lambda rows: pd.concat([rows, rows[:1].assign(y=5.0)]),
    "inf": lambda rows: rows.assign(y=np.where(np.arange(len(rows)) == 1, np.inf, rows["y"])),
    "nat": lambda rows: rows.assign(ds=rows["ds"].where(np.arange(len(rows)) != 0)),
    "off": lambda rows: rows.assign(ds=rows["ds"] + pd.to_timedelta(17 * (np.arange(len(rows)) == 2), unit="s")),
    "shifted": lambda rows: rows.assign(ds=rows["ds"] + pd.Timedelta("17s")),
    "far": lambda rows: rows.assign(
        ds=rows["ds"].where(np.arange(len(rows)) != 0, rows["ds"].iloc[0] - pd.Timedelta("20000D"))
    ),
    "unknown": lambda rows: rows.assign(y=np.nan),
}


@given(
    st.lists(st.sampled_from([None, None, None, *POISONS]), min_size=2, max_size=8).filter(
        lambda p: p.count(None) > len(p) / 2
    ),
    st.sampled_from(["D", "h", "MS", "W-SUN", "B"]),
    st.sampled_from([None, "Europe/Berlin"]),
    st.integers(0, 2**16),
)
def test_whatever_befalls_some_series_the_others_are_read_as_if_they_were_alone(poisons, freq, tz, seed):
    names = [f"s{number}" for number in range(len(poisons))]
    parts = []
    for name, poison in zip(names, poisons, strict=True):
        rows = good_rows((name,), 6, freq, tz)
        parts.append(rows if poison is None else POISONS[poison](rows))
    frame = pd.concat(parts).sample(frac=1, random_state=seed)
    found = inspected(frame, freq=freq)
    bad = {name for name, poison in zip(names, poisons, strict=True) if poison is not None}
    assert set(found.quarantined) == bad
    assert found.panel.ids.tolist() == frame["unique_id"].drop_duplicates().tolist()
    assert (found.panel.lengths > 0).all()
    same_panel(found.panel.take(found.good), to_panel(frame[~frame["unique_id"].isin(bad)], freq=freq))


def test_a_first_series_off_the_grid_does_not_take_the_others_from_it():
    frame = good_rows(tuple("abcdefg"), freq="h")
    late = frame["unique_id"].isin(["a", "b"])
    frame["ds"] += pd.to_timedelta(late * 7 + (frame["unique_id"] == "b") * 4, unit="min")
    found = inspected(frame, freq="h")
    assert list(found.quarantined) == ["a", "b"]
    same_panel(found.panel.take(found.good), to_panel(frame[~late], freq="h"))


# Fault 26 of the catalogue: one bad series among very many.


def test_the_forecasts_of_good_series_are_those_of_data_without_the_bad_ones():
    frame = good_rows(tuple(f"s{number}" for number in range(300)), 6)
    poisoned = with_rows(frame, *[(f"s{number}", "2024-01-02", -1.0) for number in range(0, 300, 7)])
    found = inspected(poisoned)
    assert list(found.quarantined) == [f"s{number}" for number in range(0, 300, 7)]
    kept = frame[~frame["unique_id"].isin(list(found.quarantined))]
    alone = Forecaster("naive", h=2, freq="D", progress=False).fit(kept)
    good = found.panel.take(found.good)
    rows = pd.DataFrame({"unique_id": good.ids.repeat(good.lengths), "ds": good.stamps(), "y": good.values})
    pd.testing.assert_frame_equal(
        Forecaster("naive", h=2, freq="D", progress=False).fit(rows).predict(), alone.predict()
    )


def test_a_thousand_bad_series_need_no_more_passes_than_one(monkeypatch):
    import forecast.ingest.mend as module

    counts: dict[str, int] = {}

    def counted(name: str) -> Any:
        inner = getattr(module, name)

        def call(*args: Any, **named: Any) -> Any:
            counts[name] = counts.get(name, 0) + 1
            return inner(*args, **named)

        return call

    for name in (
        "time_column",
        "target_column",
        "id_column",
        "grid_faults",
        "lay_out",
        "with_series",
        "duplicate_faults",
    ):
        monkeypatch.setattr(module, name, counted(name))
    frame = good_rows(tuple(f"s{number}" for number in range(3000)), 3)
    bad = [(f"s{number}", "2024-01-02", np.inf) for number in range(1000)]
    found = inspected(with_rows(frame, *bad))
    assert len(found.quarantined) == 1000 and set(counts.values()) == {1}


BROKEN = {
    "no target": (good_rows().drop(columns="y"), "y: no such column"),
    "two targets": (good_rows().assign(z=1.0).set_axis(["unique_id", "ds", "y", "y"], axis=1), "2 columns have this name"),
    "a target of dates": (good_rows().assign(y=lambda f: f["ds"]), "the target has dtype"),
    "no number at all": (good_rows().assign(y="x"), "not numbers"),
    "no known value at all": (good_rows().assign(y=np.nan), "no series has any known value"),
    "no date at all": (good_rows().assign(ds="x"), "not ISO dates"),
    "no id at all": (good_rows().assign(unique_id=None), "the id is missing"),
    "ids of lists": (good_rows().assign(unique_id=[[1]] * 24), "ids must be text or numbers"),
    "no row": (good_rows()[:0], "there is no row that was known at 2024-03-01"),
    "another frequency throughout": (good_rows(freq="7D"), "7 steps of freq='D' apart"),
    "a finer frequency throughout": (good_rows(length=60, freq="h"), "off the grid.*look like freq='h'"),
    "months named by their first day": (good_rows(freq="MS"), "off the grid"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_frame_of_which_nothing_can_be_read_is_refused_with_what_is_wrong(case):
    frame, words = BROKEN[case]
    with pytest.raises(DataError, match=words):
        inspected(frame, freq="ME" if "months" in case else "D", as_of=NOON)


def test_a_job_must_say_its_frequency():
    with pytest.raises(ConfigError, match="A job needs the freq"):
        inspected(good_rows(), freq=None)
    with pytest.raises(ConfigError, match="fortnight"):
        inspected(good_rows(), freq="fortnight")


def test_rows_of_no_series_are_told_and_not_used():
    frame = with_rows(good_rows(), (None, "2024-01-01", 7.0))
    found = inspected(frame)
    assert [str(problem) for problem in found.problems] == [
        "unique_id: the id is missing at row 24. Give these rows an id or drop them."
    ]
    assert not found.problems[0].fails and found.quarantined == {} and len(found.panel) == 3


def test_rows_of_which_nobody_knows_when_they_came_are_told_and_not_used():
    frame = good_rows().assign(told=lambda f: f["ds"].where(f["y"] != 17.0))
    found = inspected(frame, known_col="told")
    assert "when the row became known cannot be read in series 'b' at row 15" in str(found.quarantined["b"][0])
    assert values_of(found.panel, "b") == RISING[:7]


@pytest.mark.parametrize(("how", "third"), [("mean", 55.5), ("sum", 111.0), ("first", 12.0), ("last", 99.0)])
def test_duplicates_are_no_fault_where_the_schema_merges_them(how, third):
    schema = Schema(duplicates=how)
    frame = with_rows(good_rows(), ("b", "2024-01-03", 99.0))
    found = inspected(frame, schema)
    assert found.quarantined == {} and values_of(found.panel, "b")[2] == third
    same_panel(found.panel, to_panel(frame, schema, "D"))


def test_gaps_and_unknown_values_quarantine_where_the_schema_wants_neither():
    frame = good_rows().assign(y=lambda f: f["y"].where(f["y"] != 12.0)).query("y != 22.0")
    strict = inspected(frame, Schema(missing="raise"))
    assert {name: fault[0].problem for name, fault in strict.quarantined.items()} == {
        "b": "missing values (first 2024-01-03T00:00:00.000000)",
        "c": "rows are missing before 2024-01-04T00:00:00.000000",
    }
    same_panel(inspected(frame).panel, to_panel(frame, freq="D"))


def test_a_schema_that_skips_bad_series_loses_none_here():
    frame = BAD["an infinite value"][0]
    skipping = inspected(frame, Schema(on_bad_series="skip"))
    assert list(skipping.quarantined) == ["b"] and len(skipping.panel) == 3


def test_local_days_keep_their_zone_across_the_clock_change():
    frame = good_rows(("a", "b"), 100, tz="Europe/Berlin")
    frame.loc[frame.index[-1], "y"] = np.inf
    found = inspected(frame)
    assert list(found.quarantined) == ["b"] and found.panel.timeline.tz == "Europe/Berlin"
    same_panel(found.panel.take(found.good), to_panel(frame[:100], freq="D"))
    assert found.facts["cutoff"] == "2024-04-09T00:00:00+02:00"


def test_integer_ids_and_integer_time():
    frame = pd.DataFrame({"unique_id": [7, 7, 7, 8, 8, 8], "ds": [0, 5, 10, 0, 5, 6], "y": [1.0, 2, 3, 4, 5, 6]})
    found = inspected(frame, freq=5, as_of=16)
    assert list(found.quarantined) == [8] and found.panel.ids.tolist() == [7, 8]
    assert found.facts["cutoff"] == 10 and found.facts["due"] == 10 and found.facts["staleness"] == 0
    assert json.loads(json.dumps(found.facts)) == found.facts


def test_conversions_are_noted():
    frame = good_rows().assign(ds=lambda f: f["ds"].astype(str), y=lambda f: f["y"] > 3)
    assert inspected(frame).notes == (
        "ds: dates were text and have been read as ISO dates.",
        "y: true and false have been read as 1 and 0.",
    )


def test_a_frame_without_ids_is_one_series():
    found = inspected(good_rows(("a",)).drop(columns="unique_id"))
    assert len(found.panel) == 1 and found.quarantined == {}


def test_facts_are_plain_and_what_they_say_is_so():
    frame = good_rows().query("not (unique_id == 'c' and ds > '2024-01-06')")
    frame = frame.assign(y=frame["y"].where(frame["y"] != 12.0))
    found = inspected(frame, as_of=datetime(2024, 1, 10, tzinfo=UTC), previous_ids=pd.Index(["a", "b", "z"]))
    known = frame["y"].dropna()
    assert found.facts == {
        "rows": 22, "series": 3, "quarantined": 0, "cutoff": "2024-01-08T00:00:00", "first_cutoff": "2024-01-06T00:00:00",
        "due": "2024-01-09T00:00:00", "staleness": 1, "stale_series": 1, "at_cutoff": pytest.approx(2 / 3),
        "missing_share": pytest.approx(1 / 22), "minimum": 0.0, "maximum": 25.0, "mean": pytest.approx(known.mean()),
        "std": pytest.approx(known.std(ddof=0)), "new": 1, "vanished": 1, "new_ids": ["c"], "vanished_ids": ["z"],
    }  # fmt: skip
    assert json.loads(json.dumps(found.facts)) == found.facts


def test_facts_of_a_first_run_compare_with_nothing():
    facts = inspected(good_rows()).facts
    assert facts["new"] is None and facts["vanished"] is None and facts["due"] is None and facts["staleness"] is None


def test_huge_values_have_a_mean_and_a_spread():
    facts = inspected(good_rows().assign(y=lambda f: np.where(f["unique_id"] == "a", 1e308, -1e308))).facts
    assert all(np.isfinite(facts[name]) for name in ("minimum", "maximum", "mean", "std"))


# Static features.

STATIC = pd.DataFrame({"unique_id": ["a", "b", "c"], "size": [1.0, 2.0, 3.0], "kind": ["x", "y", "x"]})


def test_good_series_have_the_static_features_that_a_forecaster_reads():
    found = inspected(good_rows(), static=STATIC)
    expected = to_panel(good_rows(), freq="D", static=STATIC)
    assert found.panel.static.names == expected.static.names and found.quarantined == {}
    for name in expected.static.names:
        one, two = (vars(panel.static.column(name)) for panel in (found.panel, expected))
        assert all(np.array_equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize("case", ["no row", "an infinite feature", "two rows"])
def test_a_series_whose_features_cannot_be_read_is_quarantined_alone(case):
    table = {
        "no row": STATIC[STATIC["unique_id"] != "b"],
        "an infinite feature": STATIC.assign(size=[1.0, np.inf, 3.0]),
        "two rows": pd.concat([STATIC, STATIC[1:2]]),
    }[case]
    found = inspected(good_rows(), static=table)
    assert list(found.quarantined) == ["b"] and len(found.panel.static) == 3
    assert found.panel.static.column("kind").codes[1] == -1
    np.testing.assert_array_equal(found.panel.static.column("size").values, [1.0, np.nan, 3.0])


def test_features_in_the_long_frame_must_not_vary_within_a_series():
    schema = Schema(stat_exog=["size"])
    frame = good_rows().assign(
        size=lambda f: np.where(f["y"] == 12.0, 5.0, f["unique_id"].map({"a": 1.0, "b": 2.0, "c": 3.0}))
    )
    found = inspected(frame, schema)
    assert "the static feature varies" in found.quarantined["b"][0].problem
    np.testing.assert_array_equal(found.panel.static.column("size").values, [1.0, np.nan, 3.0])


def test_features_of_a_model_that_was_fitted_before_stand_in():
    history = to_panel(good_rows(("a", "b")), freq="D", static=STATIC[:2])
    found = inspected(good_rows(), known=history)
    assert list(found.quarantined) == ["c"]
    np.testing.assert_array_equal(found.panel.static.column("size").values, [1.0, 2.0, np.nan])


def test_a_table_of_features_that_is_wrong_altogether_is_refused():
    with pytest.raises(DataError, match="unique_id of static_df"):
        inspected(good_rows(), static=STATIC.drop(columns="unique_id"))
    with pytest.raises(DataError, match="its ids are"):
        inspected(good_rows(), static=STATIC.assign(unique_id=[1, 2, 3]))


def test_a_quarantined_series_is_not_blamed_for_its_features_too():
    found = inspected(BAD["an infinite value"][0], static=STATIC[STATIC["unique_id"] != "b"])
    assert len(found.quarantined["b"]) == 1


def test_a_contract_is_checked_with_what_was_read():
    found = inspected(good_rows(), contract=Contract(min_series=4), as_of=NOON)
    assert [problem.rule for problem in found.problems] == ["min_series"]
