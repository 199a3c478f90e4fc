"""What a job expects of its data."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from forecast import Schema
from forecast.batch.contract import Contract, is_kind
from forecast.batch.demands import Demands
from forecast.batch.known import Arrival, known_rows
from forecast.batch.quarantine import Inspection, inspect_rows
from forecast.errors import ConfigError, DataError
from forecast.ingest.terms import Terms

SCHEMA = Schema()
TERMS = Terms(SCHEMA, "D")
MORNING = datetime(2024, 1, 11, 6, tzinfo=UTC)  # the newest row that is due is of 10 January


def daily(series: tuple[str, ...] = ("a", "b", "c", "d"), last: str = "2024-01-10", length: int = 10) -> pd.DataFrame:
    stamps = pd.date_range(end=last, periods=length)
    parts = [pd.DataFrame({"unique_id": name, "ds": stamps, "y": np.arange(length) + 1.0}) for name in series]
    return pd.concat(parts, ignore_index=True)


def without(frame: pd.DataFrame, stamp: str, *names: str) -> pd.DataFrame:
    return frame[~((frame["ds"] == stamp) & frame["unique_id"].isin(names))]


def inspected(
    frame: pd.DataFrame, as_of: datetime = MORNING, previous: list[str] | None = None, **rules: object
) -> Inspection:
    ids = None if previous is None else pd.Index(previous)
    contract = Contract(**rules)  # type: ignore[arg-type]
    return inspect_rows(frame, TERMS, Demands(contract, Arrival("D", as_of), previous_ids=ids))


def test_good_data_break_no_rule():
    found = inspected(
        daily(), previous=["a", "b", "c", "d"], columns={"unique_id": "text", "ds": "time", "y": "number"}, min_series=4,
        min_value=0, max_value=10, max_missing=0, max_staleness=0, max_series_staleness=0, ids=("a", "d"), completeness=1,
        max_new=0, max_vanished=0, max_quarantined=0,
    )  # fmt: skip
    assert found.problems == () and found.quarantined == {}
    found.refuse()


BREACHES = {
    "too few series": (daily(), {"min_series": 5}, "unique_id: 4 series, the contract asks for 5 at least"),
    "too much unknown": (
        daily().assign(y=lambda f: f["y"].where(f["ds"] != "2024-01-05")), {"max_missing": 0.05},
        "y: 10.0% of the values are unknown, 5.0% are allowed",
    ),
    "gaps are unknown too": (without(daily(), "2024-01-05", *"abcd"), {"max_missing": 0.05}, "10.0% of the values are unknown"),
    "late data": (
        daily(last="2024-01-08"), {"max_staleness": 1},
        "ds: the newest value of all, of 2024-01-08T00:00:00, is 2 steps behind 2024-01-10T00:00:00, which is due",
    ),
    "rows that came without values": (
        daily().assign(y=lambda f: f["y"].where(f["ds"] < "2024-01-09")), {"max_staleness": 1}, "is 2 steps behind",
    ),
    "half the series": (
        without(daily(), "2024-01-10", "b", "c"), {"completeness": 0.75},
        "y: 2 of 4 series have a value at 2024-01-10T00:00:00. 75.0% are asked for. Missing: 'b', 'c'",
    ),
    "half the values": (
        daily().assign(y=lambda f: f["y"].where((f["ds"] < "2024-01-10") | f["unique_id"].isin(["a", "d"]))),
        {"completeness": 0.75}, "2 of 4 series have a value at 2024-01-10",
    ),
    "an important series": (without(daily(), "2024-01-10", "b"), {"ids": ("a", "b")}, "1 of 2 series have a value.*Missing: 'b'"),
    "an important series that is not there": (daily(), {"ids": ("a", "z")}, "1 of 2 series have a value.*Missing: 'z'"),
}  # fmt: skip


@pytest.mark.parametrize("case", BREACHES)
def test_a_breach_is_told_with_column_and_remedy_and_stops_the_run(case):
    frame, rules, words = BREACHES[case]
    found = inspected(frame, **rules)
    assert len(found.problems) == 1 and found.problems[0].fails
    assert (
        found.problems[0].rule in {*rules, "completeness" if "ids" in rules else ""} and found.problems[0].fault.remedy
    )
    with pytest.raises(DataError, match=words):
        found.refuse()


@pytest.mark.parametrize("case", BREACHES)
def test_a_breach_may_be_flagged_instead(case):
    frame, rules, _ = BREACHES[case]
    found = inspected(frame, **rules, on_incomplete="flag", on_violation="flag")
    assert [problem.fails for problem in found.problems] == [False]
    found.refuse()


def test_series_of_the_run_before_must_have_arrived():
    found = inspected(daily(("a", "b")), previous=["a", "b", "c", "d"], completeness=0.9)
    assert "2 of 4 series have a value" in str(found.problems[0]) and "'c', 'd'" in str(found.problems[0])


def test_new_and_vanished_series_are_counted_against_the_run_before():
    found = inspected(daily(("a", "x", "y")), previous=["a", "b"], max_new=0.5, max_vanished=0.2, on_violation="flag")
    assert [problem.rule for problem in found.problems] == ["max_new", "max_vanished"]
    assert "2 series are new since the run before, which had 2" in str(found.problems[0])
    assert "1 series are gone" in str(found.problems[1])
    assert inspected(daily(("a", "x")), max_new=0.0, max_vanished=0.0).problems == ()  # nothing to compare with


def test_a_stale_series_is_flagged_by_name_and_never_stops_the_others():
    frame = pd.concat([daily(("a",)), daily(("b",), last="2024-01-06", length=6)])
    found = inspected(frame, max_series_staleness=3, max_staleness=0)
    assert [(problem.fault.series, problem.fails) for problem in found.problems] == [("b", False)]
    assert "is 4 steps behind" in str(found.problems[0])
    assert found.quarantined == {}


def test_values_out_of_range_quarantine_their_series_and_are_not_used():
    frame = daily().assign(y=lambda f: f["y"].where((f["unique_id"] != "b") | (f["ds"] != "2024-01-10"), 1e9))
    found = inspected(frame, max_value=100.0, min_value=1.0)
    fault = found.quarantined["b"][0]
    assert list(found.quarantined) == ["b"] and fault.rows == (19,) and fault.column == "y"
    assert "outside the contract's range 1 … 100 (first at 2024-01-10" in str(fault)
    assert np.isnan(found.panel.each()[1][-1]) and found.problems == ()
    assert inspected(frame, min_value=2.0).quarantined.keys() == set("abcd")


def test_too_many_quarantined_series_are_a_breach():
    frame = daily().assign(y=lambda f: f["y"].where(f["unique_id"] > "b", np.inf))
    found = inspected(frame, max_quarantined=0.4)
    assert "2 of 4 series are quarantined. 40.0% are allowed" in str(found.problems[0]) and found.problems[0].fails


def test_columns_of_another_kind_are_refused_all_at_once():
    rules = {"unique_id": "integer", "ds": "text", "y": "truth", "price": "number"}
    with pytest.raises(DataError) as raised:
        inspected(daily(), columns=rules)
    told = [(fault.column, fault.problem) for fault in raised.value.report]
    assert [column for column, _ in told] == ["unique_id", "ds", "y", "price"]
    assert "the contract asks for integer" in told[0][1] and "no such column" in told[3][1]


@pytest.mark.parametrize(
    ("kind", "yes", "no"),
    [
        ("number", [1.5, 2, None], ["x"]),
        ("number", pd.array([1, None], dtype="Int64"), pd.Categorical(["a", "b"])),
        ("integer", [1, 2], [1.5, 2.0]),
        ("text", ["a", None], [1, 2]),
        ("text", pd.array(["a", "b"], dtype=object), pd.array([1, "b"], dtype=object)),
        ("time", pd.to_datetime(["2024-01-01"]), ["2024-01-01"]),
        ("time", pd.period_range("2024-01", periods=2, freq="M"), [20240101]),
        ("truth", [True, False], [1, 0]),
        ("any", [object()], []),
    ],
)
def test_kinds_of_columns(kind, yes, no):
    assert is_kind(pd.Series(yes), kind)
    assert len(no) == 0 or not is_kind(pd.Series(no), kind)


@pytest.mark.parametrize(
    "rules",
    [
        {"completeness": 1.5}, {"max_missing": -0.1}, {"max_new": True}, {"max_staleness": 1.5}, {"min_series": -1},
        {"min_value": 3, "max_value": 2}, {"max_value": float("nan")}, {"on_incomplete": "hope"}, {"on_violation": None},
        {"columns": {"y": "colour"}}, {"ids": "abc"}, {"ids": ()}, {"min_series": None}, {"max_value": "9"},
    ],
)  # fmt: skip
def test_a_contract_that_makes_no_sense_is_refused(rules):
    with pytest.raises(ConfigError, match=str(next(iter(rules)))):
        Contract(**rules)


# Fault 22 of the catalogue: partial arrival, as a run at dawn would see it.


def test_data_of_which_half_has_arrived_fail_at_dawn_and_pass_when_the_rest_is_there():
    rule, dawn = Contract(completeness=0.95, max_staleness=0), Arrival("D", MORNING)
    whole, half = daily(), without(daily(), "2024-01-10", "a", "c")
    for frame, fails in ((half, True), (whole, False)):
        known = known_rows(frame, SCHEMA, "D", MORNING)
        found = inspect_rows(known, TERMS, Demands(rule, dawn, previous_ids=pd.Index(list("abcd"))))
        assert any(problem.fails for problem in found.problems) == fails
        assert found.facts["at_cutoff"] == (0.5 if fails else 1.0)
    # In the middle of the day the next row may have come for some: it is not due, is cut, and alarms nobody.
    early = pd.concat([whole, daily(("a",), last="2024-01-11", length=1)])
    found = inspect_rows(known_rows(early, SCHEMA, "D", MORNING), TERMS, Demands(rule, dawn))
    assert found.problems == () and found.facts["cutoff"] == "2024-01-10T00:00:00"
