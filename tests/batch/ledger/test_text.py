"""What ``forecast runs`` prints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from forecast.batch.ledger.ledger import Ledger
from forecast.batch.ledger.text import USAGE, runs_text
from forecast.errors import ConfigError
from tests.batch.ledger.conftest import Clock
from tests.batch.ledger_process import SLOT, key


@pytest.fixture
def book(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    """Two committed versions of a slot, a failed one, and one whose owner has fallen silent."""
    ledger = Ledger(f"sqlite:///{tmp_path}/ledger.db", clock=clock).open()
    for rows, data in ((7, "d1"), (8, "d2")):
        with ledger.held("nightly", SLOT, owner="anna") as claim:
            planned = ledger.plan(claim, key(data), SLOT, {"data": {"rows": rows}, "settings": {"h": 3}})
            ledger.confirm(claim, planned.run, counts={"series": 2})
            clock.pass_by(minutes=10)
    with ledger.held("nightly", SLOT, owner="anna") as claim:
        planned = ledger.plan(claim, key("d3"), SLOT, {})
        ledger.advance(claim, planned.run, "failed", error="no rows\nin \x1b[31m2 files")
    with ledger.held("weekly", SLOT, owner="bert") as claim:
        ledger.plan(claim, key(job="weekly"), SLOT, {})
        clock.pass_by(minutes=10)
        yield ledger


def columns(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_the_list_has_a_line_for_each_run_the_latest_first(book: Ledger) -> None:
    head, *lines = runs_text(book, ["list"]).splitlines()
    assert columns(head) == ["run", "job", "slot", "version", "state", "cutoff", "took", "committed", "notes"]
    assert [columns(line)[1:5] for line in lines] == [
        ["nightly", "2026-03-01 06:00:00Z", "3", "failed"],
        ["nightly", "2026-03-01 06:00:00Z", "2", "committed"],
        ["nightly", "2026-03-01 06:00:00Z", "1", "committed"],
        ["weekly", "2026-03-01 06:00:00Z", "1", "planned, silent"],
    ]
    assert lines[0].endswith("no rows in \\x1b[31m2 files")  # nothing steers the terminal
    assert columns(lines[1])[-2:] == ["2026-03-01 06:40:00Z", "series 2"]
    assert runs_text(book, []) == runs_text(book, ["list"])


def test_the_list_can_be_narrowed_and_taken_back_in_time(book: Ledger) -> None:
    assert len(runs_text(book, ["list", "job=weekly"]).splitlines()) == 2
    assert len(runs_text(book, ["list", "state=committed", "limit=1"]).splitlines()) == 2
    then = runs_text(book, ["list", "job=nightly", "as_of=2026-03-01T06:35"])
    assert columns(then.splitlines()[1])[3] == "1" and len(then.splitlines()) == 2
    assert columns(runs_text(book, ["list", "job=nightly", "as_of=2026-03-01T08:45+02:00"]).splitlines()[1])[3] == "2"
    assert runs_text(book, ["list", "job=absent"]) == "No runs.\n"


def test_show_tells_what_a_run_is_and_what_happened(book: Ledger) -> None:
    told = runs_text(book, ["show", key("d2").run[:8]])
    assert told.startswith(f"run {key('d2').run}: committed, version 2 of 2026-03-01 06:00:00Z, job nightly\n")
    assert "\n  data      d2\n  model     m1\n  settings  c1\n" in told
    assert "\ncounts\n  series  2\n" in told and "\nfacts\n  data.rows   8\n  settings.h  3\n" in told
    assert [columns(line)[:2] for line in told.partition("history\n")[2].splitlines()] == [
        ["attempt", "state"], ["2", "planned"], ["2", "committed"],
    ]  # fmt: skip


def test_diff_separates_new_data_from_a_new_model_and_new_settings(book: Ledger) -> None:
    told = runs_text(book, ["diff", key("d1").run, key("d2").run])
    assert "\ndata: new: d1 -> d2\n  rows  7 -> 8\n\nmodel: the same\n\nsettings: the same\n" in told
    assert "\n  h  3 -> –\n" in runs_text(book, ["diff", key("d1").run, key("d3").run])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["erase"], "cannot do 'erase'"), (["show"], "cannot do 'show'"), (["diff", "a"], "cannot do 'diff a'"),
        (["list", "jobs=x"], "no setting 'jobs'"), (["list", "x"], "NAME=VALUE"), (["list", "limit=-1"], "limit='-1'"),
        (["list", "as_of=2026-01-01"], "needs job=NAME"), (["list", "job=x", "as_of=soon"], "not a time"),
        (["list", "state=gone"], "not one of planned"), (["show", "0000000000"], "not in the ledger"),
    ],
)  # fmt: skip
def test_words_that_make_no_sense_are_told(book: Ledger, words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        runs_text(book, words)


def test_the_usage_names_every_verb() -> None:
    assert all(f"forecast runs {verb}" in USAGE for verb in ("list", "show", "diff"))
