from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.batch.sinks.names import checked_column, checked_table, slot_name
from forecast.errors import ConfigError
from forecast.filenames import folder_name

WICKED = [
    "../x",
    "/etc/x",
    "a/b",
    "a\\b",
    "x\0y",
    "CON",
    "com1.txt",
    "..",
    ".",
    "..%2f",
    "~root",
    "slot=1",
    "_x",
    "a.",
    "💥",
]


@given(st.text(min_size=1, max_size=200) | st.sampled_from(WICKED))
def test_no_name_leads_out_of_its_folder(name: str) -> None:
    encoded = folder_name(name)
    root = Path("/srv/out").resolve()
    assert (root / encoded).resolve().parent == root
    assert encoded.isascii() and encoded.isprintable() and len(encoded) <= 150
    assert encoded[0] not in "._-" and encoded[-1] not in ". " and not set(encoded) & set('/\\:*?"<>|= ')


@given(st.lists(st.text("ab/%2F.~é", min_size=1, max_size=120), min_size=2, max_size=2, unique=True))
def test_different_names_stay_different(names: list[str]) -> None:
    assert folder_name(names[0]) != folder_name(names[1])


def test_long_names_that_begin_alike_stay_different() -> None:
    assert folder_name("a" * 500 + "b") != folder_name("a" * 500 + "c")


def test_a_hashed_name_is_not_another_plain_one() -> None:
    hashed = folder_name("a" * 500)
    assert folder_name(hashed) != hashed


def test_plain_names_stay_as_they_are() -> None:
    assert folder_name("sales-2.north_EU") == "sales-2.north_EU"


def test_a_job_without_a_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs a name"):
        folder_name("")


def test_slots_are_named_in_utc_to_the_microsecond_where_needed() -> None:
    at = datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=2)))
    assert slot_name(at) == "20260329T003000Z"
    assert slot_name(at.replace(microsecond=5)) == "20260329T003000.000005Z"
    assert slot_name(datetime(33, 1, 1, tzinfo=UTC)) == "00330101T000000Z"


def test_a_slot_without_a_zone_is_refused() -> None:
    with pytest.raises(ConfigError, match="no time zone"):
        slot_name(datetime(2026, 3, 1))


@pytest.mark.parametrize("name", ["x; DROP TABLE y", 'x"y', "a.b", "1a", "", "é", "x" * 51, "a b", "x\n", "x--"])
def test_tables_with_other_characters_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="table="):
        checked_table(name)


@pytest.mark.parametrize("name", ['lo"80', "lo;80", "80", "", "a b", "x\n", "q:1"])
def test_outputs_with_other_characters_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a column"):
        checked_column(name)
