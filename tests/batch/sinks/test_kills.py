"""A run that is killed: at every point, replacement and sync, one after the other, until a run ends clean."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.batch.publications import expected, frame, publication, sink_of

A, B = "a" * 16, "b" * 16
MANY = 80  # more points than any run has
SECOND = {"run": B, "version": 2, "token": 2}


def temporaries(place: str) -> list[Path]:
    return list(Path(place).rglob("*.tmp")) if place.startswith("/") else []


def same(read: pd.DataFrame, wanted: pd.DataFrame) -> bool:
    return bool(read.equals(wanted))


def public(place: str) -> set[str]:
    """The versions that somebody sees who takes the files of the folder as they are."""
    files = list(Path(place).glob("out/sales/slot=*/forecasts.parquet"))
    means = [pd.read_parquet(file)["mean"].mean() for file in files]
    return {"old" if mean < 50 else "new" for mean in means}


def test_after_every_kill_readers_see_old_or_new_and_one_run_more_puts_it_right(
    publishers: Any, kind: str, place: str
) -> None:
    old, new = expected(frame(), publication()), expected(frame(("a", "c"), level=100), publication(B))
    order = {"kind": kind, "place": place, "publication": SECOND, "frame": {"ids": ["a", "c"], "level": 100.0}}
    seen, killed = [], 0
    assert publishers.run(kind=kind, place=place) == "done"
    for number in range(1, MANY):
        end = publishers.run(**order, kill_at=number)
        sink = sink_of(kind, place)
        read = sink.read("sales")
        assert same(read, old) or same(read, new), f"after a kill at point {number}"
        seen.append(same(read, new))
        if kind == "parquet":
            assert len(public(place)) == 1
        if end == "done":
            break
        assert end == "signal 9"
        killed += 1
    # Nothing is undone by a later kill, and both answers were seen: the kills were where they matter.
    assert seen == sorted(seen) and seen[0] is False and seen[-1] is True
    assert killed >= 5
    assert publishers.run(**order) == "done"
    sink.sweep()
    assert same(sink.read("sales"), new) and same(sink.read("sales", [A]), old)
    assert temporaries(place) == [] and (kind != "parquet" or public(place) == {"new"})


@pytest.mark.parametrize("kind", ["parquet"])
def test_a_killed_run_is_as_if_it_had_never_been_once_it_is_swept(publishers: Any, place: str) -> None:
    # Without its own run coming back: the file that readers take shows again what the manifest says.
    assert publishers.run(kind="parquet", place=place) == "done"
    order = {"kind": "parquet", "place": place, "publication": SECOND, "frame": {"level": 100.0}}
    assert publishers.run(**order, kill_at="sink.public.named") == "signal 9"
    assert public(place) == {"new"}
    sink = sink_of("parquet", place)
    assert same(sink.read("sales"), expected(frame(), publication()))
    sink.sweep()
    assert public(place) == {"old"} and temporaries(place) == []


@pytest.mark.parametrize("kind", ["parquet"])
def test_sweeping_leaves_the_drafts_of_the_living_alone(publishers: Any, place: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    pid = publishers.start(kind="parquet", place=place, wait_at="sink.staged", gate=str(gate))
    while not Path(f"{gate}.there").exists():
        time.sleep(0.01)
    sink = sink_of("parquet", place)
    assert sink.sweep() == 0 and len(temporaries(place)) == 1
    gate.touch()
    assert publishers.wait(pid) == "done"
    assert same(sink.read("sales"), expected(frame(), publication()))


@pytest.mark.parametrize("kind", ["parquet"])
def test_drafts_of_the_dead_are_swept(publishers: Any, place: str) -> None:
    assert publishers.run(kind="parquet", place=place, kill_at="sink.staged") == "signal 9"
    assert len(temporaries(place)) == 1
    assert sink_of("parquet", place).sweep() == 1
    assert temporaries(place) == []
