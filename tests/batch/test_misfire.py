"""Which of the slots that could not be started in time still run."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.batch.misfire import Policy, Waiting, choose
from forecast.errors import ConfigError

FIRST = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)


def waiting(*whys: Any) -> list[Waiting]:
    return [Waiting(FIRST + timedelta(days=day), why) for day, why in enumerate(whys)]


def days(entries: list[Waiting]) -> list[int]:
    return [(entry.slot - FIRST).days for entry in entries]


@pytest.mark.parametrize(("catchup", "run"), [("none", []), ("latest", [2]), ("all", [0, 1, 2])])
def test_of_three_missed_days_none_the_latest_or_all_run(catchup: Any, run: list[int]) -> None:
    kept, skipped = choose(waiting("missed", "missed", "missed"), Policy(catchup=catchup))
    assert days(kept) == run and len(kept) + len(skipped) == 3
    assert all(reason.startswith("missed") and f"(catchup={catchup})" in reason for reason in skipped.values())


@pytest.mark.parametrize(("overlap", "run"), [("skip", []), ("latest", [2]), ("queue", [0, 1, 2])])
def test_of_three_slots_behind_a_long_run_none_the_latest_or_all_run(overlap: Any, run: list[int]) -> None:
    kept, skipped = choose(waiting("blocked", "blocked", "blocked"), Policy(overlap=overlap))
    assert days(kept) == run and len(kept) + len(skipped) == 3
    assert all("still going" in reason and f"(overlap={overlap})" in reason for reason in skipped.values())


def test_a_slot_that_does_not_run_itself_stands_in_for_no_other() -> None:
    kept, skipped = choose(waiting("missed", "missed", "blocked"), Policy(catchup="latest", overlap="skip"))
    assert days(kept) == [1]
    assert list(skipped.values()) == [
        "missed, and 2026-03-02T02:30Z runs instead (catchup=latest)",
        "the run before it was still going (overlap=skip)",
    ]


@given(st.lists(st.sampled_from(["due", "blocked", "missed"]), max_size=8))
def test_whatever_waits_is_either_kept_in_order_or_skipped_with_a_reason(whys: list[Any]) -> None:
    entries = waiting(*whys)
    for catchup, overlap in itertools.product(("none", "latest", "all"), ("skip", "latest", "queue")):
        policy = Policy(catchup=catchup, overlap=overlap)
        kept, skipped = choose(entries, policy)
        assert sorted([entry.slot for entry in kept] + list(skipped)) == [entry.slot for entry in entries]
        assert kept == sorted(kept, key=lambda entry: entry.slot)
        assert [entry for entry in entries if entry.why == "due"] == [entry for entry in kept if entry.why == "due"]
        assert choose(kept, policy) == (kept, {})  # choosing again changes nothing
        if entries and (catchup, overlap) == ("latest", "latest"):
            assert kept[-1] == entries[-1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"catchup": "some"}, "catchup='some' is not one of none, latest, all"),
        ({"overlap": None}, "overlap=None is not one of skip, latest, queue"),
        ({"overlap": ["skip"]}, r"overlap=\['skip'\] is not one of"),
        ({"retries": -1}, "retries=-1 must be a whole number"),
        ({"retries": 1.5}, "retries=1.5 must be a whole number"),
        ({"retries": True}, "retries=True must be a whole number"),
        ({"backoff": -1}, "backoff=-1 must be a number of seconds"),
        ({"grace": float("nan")}, "grace=nan must be"),
        ({"stop_grace": float("inf")}, "stop_grace=inf must be"),
        ({"max_runtime": "1h"}, "max_runtime='1h' must be a number of seconds"),
        ({"max_runtime": 0}, "max_runtime=0 would let no run end"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Policy(**settings)
