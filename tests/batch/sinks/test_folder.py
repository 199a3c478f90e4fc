"""What is special about folders: files that others read, and disks that refuse."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.batch.form import Form
from forecast.batch.sinks import FolderSink
from forecast.errors import ConfigError, StorageError, UnreachableError
from tests.batch.publications import FORM, expected, frame, publication, publish

A, B = "a" * 16, "b" * 16
NOBODY = 65534


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_folder_looks_as_documented(out: Path) -> None:
    publish(FolderSink(out), publication(), frame())
    publish(FolderSink(out), publication(B, version=2, token=2), frame(level=1))
    assert files(out) == {
        "sales/_manifest.json",
        "sales/slot=20260301T040000Z/forecasts.parquet",
        f"_versions/sales/20260301T040000Z/{A}.parquet",
        f"_versions/sales/20260301T040000Z/{B}.parquet",
    }


@pytest.mark.parametrize("below", ["", "sales"])
def test_pandas_reads_the_current_versions_from_the_folder(out: Path, below: str) -> None:
    form = Form("text", "aware", "Europe/London", ("mean",))
    publish(FolderSink(out), publication(), frame(form=form), form)
    publish(FolderSink(out), publication(B, version=2, token=2), frame(("x",), form=form, level=1), form)
    read = pd.read_parquet(out / below)
    assert read["unique_id"].tolist() == ["x"] * 3 and read["slot"].astype(str).tolist() == ["20260301T040000Z"] * 3
    np.testing.assert_array_equal(read["mean"], frame(("x",), form=form, level=1)["mean"])


def test_a_public_file_has_the_types_of_the_form(out: Path) -> None:
    form = Form("text", "aware", "Europe/London", ("mean",))
    publish(FolderSink(out), publication(), frame(("001", "a"), form=form), form)
    read = pd.read_parquet(out / "sales/slot=20260301T040000Z/forecasts.parquet", partitioning=None)
    pd.testing.assert_frame_equal(read, frame(("001", "a"), form=form))


def test_a_csv_is_what_a_spreadsheet_expects(out: Path) -> None:
    publish(FolderSink(out, "csv"), publication(), frame(("=1+1", "001")))
    lines = (out / "sales/slot=20260301T040000Z/forecasts.csv").read_text().splitlines()
    assert lines[0] == '"unique_id","cutoff","ds","step","model","mean","lo-80","hi-80","q-0.1","source","reason"'
    assert lines[1].startswith('"001",2026-03-28 23:00:00.000001,2026-03-29 00:00:00.000001,1,"segrnn",')
    assert sum(line.startswith('"\'=1+1",') for line in lines) == 3


texts = st.text("'=+-@\t\r\nab", max_size=6)


@given(st.lists(texts, min_size=1, max_size=6, unique=True), st.booleans())
def test_csv_text_is_never_a_formula_and_comes_back_exactly(ids: list[str], safe: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sink = FolderSink(folder, "csv", csv_safe=safe)
        publish(sink, publication(), frame(ids))
        pd.testing.assert_frame_equal(sink.read("sales"), expected(frame(ids), publication()))
        path = next(Path(folder).glob("sales/slot=*/forecasts.csv"))
        cells = pd.read_csv(path, dtype=str, keep_default_na=False, lineterminator="\n")["unique_id"]
        assert not safe or not any(cell[:1] in tuple("=+-@\t\r\n") for cell in cells if cell)


def test_what_was_escaped_is_read_back_whatever_is_asked_now(out: Path) -> None:
    publish(FolderSink(out, "csv"), publication(), frame(("=1",)))
    publish(FolderSink(out, "csv", csv_safe=False), publication(B, version=2, token=2), frame(("'=1",)))
    for sink in (FolderSink(out), FolderSink(out, "csv", csv_safe=False), FolderSink(out, "csv")):
        assert sink.read("sales", [A])["unique_id"].unique().tolist() == ["=1"]
        assert sink.read("sales", [B])["unique_id"].unique().tolist() == ["'=1"]


def test_another_format_replaces_the_file_of_the_old(out: Path) -> None:
    publish(FolderSink(out, "csv"), publication(), frame())
    publish(FolderSink(out), publication(B, version=2, token=2), frame(level=1))
    assert [path.name for path in out.glob("sales/slot=*/*")] == ["forecasts.parquet"]
    assert FolderSink(out).read("sales", [A])["run"].unique().tolist() == [A]


def test_a_parquet_folder_keeps_ids_with_nul_and_csv_refuses_them(out: Path) -> None:
    publish(FolderSink(out), publication(), frame(("a\0b",)))
    assert FolderSink(out).read("sales")["unique_id"].unique().tolist() == ["a\0b"]
    with pytest.raises(StorageError, match="NUL"):
        FolderSink(out, "csv").stage(publication(), FORM, frame(("a\0b",)))


@given(st.text(min_size=1, max_size=60))
def test_no_job_writes_outside_the_folder(job: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sink = FolderSink(Path(folder) / "out")
        publish(sink, publication(job=job), frame(("a",), h=1))
        assert set(os.listdir(folder)) == {"out"}
        assert len(sink.read(job)) == 1
        assert len(pd.read_parquet(Path(folder) / "out")) == 1
        real = [os.path.realpath(path) for path in Path(folder).rglob("*")]
        assert all(path.startswith(os.path.realpath(folder) + "/out") for path in real)


def test_versions_never_change_and_cannot_be_written_by_accident(out: Path) -> None:
    publish(FolderSink(out), publication(), frame())
    path = out / f"_versions/sales/20260301T040000Z/{A}.parquet"
    before = path.read_bytes()
    assert path.stat().st_mode & 0o222 == 0
    publish(FolderSink(out), publication(token=2), frame())
    publish(FolderSink(out), publication(B, version=2, token=3), frame(level=1))
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_a_damaged_version_is_never_read(out: Path, damage: str) -> None:
    publish(FolderSink(out), publication(), frame())
    path = out / f"_versions/sales/20260301T040000Z/{A}.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink()
    if damage != "gone":
        path.write_bytes(data if damage == "flip" else data[: len(data) // 2])
    with pytest.raises(StorageError, match="missing" if damage == "gone" else "changed after it was published"):
        FolderSink(out).read("sales")


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:50],
        lambda text: text.replace(f'"token": {1}', '"token": 0'),
        lambda text: "[" * 100_000,
        lambda text: "null",
        lambda text: "{}",
        lambda text: '{"format": ' + "9" * 10_000 + "}",
        lambda text: "\udcff",
    ],
    ids=["cut", "changed", "deep", "null", "empty", "huge", "bytes"],
)
def test_a_damaged_manifest_is_named_and_nothing_is_written_over_it(out: Path, damage: Any) -> None:
    sink = FolderSink(out)
    publish(sink, publication(), frame())
    path = out / "sales/_manifest.json"
    path.write_bytes(damage(path.read_text()).encode("utf-8", "surrogateescape"))
    before = path.read_bytes()
    with pytest.raises(StorageError, match=r"_manifest\.json' is damaged"):
        sink.read("sales")
    with pytest.raises(StorageError, match=r"_manifest\.json' is damaged"):
        publish(sink, publication(B, version=2, token=2), frame())
    assert path.read_bytes() == before


def test_a_manifest_of_a_newer_version_says_so(out: Path) -> None:
    publish(FolderSink(out), publication(), frame())
    path = out / "sales/_manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2}))
    with pytest.raises(StorageError, match="newer version of this package"):
        FolderSink(out).read("sales")


def test_a_manifest_of_another_job_is_not_taken(out: Path) -> None:
    # As on a disk that takes Sales and sales for the same.
    publish(FolderSink(out), publication(), frame())
    (out / "sales").rename(out / "Sales")
    with pytest.raises(StorageError, match="belongs to job 'sales'"):
        FolderSink(out).read("Sales")


def test_a_symbolic_link_is_refused_and_what_it_leads_to_untouched(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "out").symlink_to(real)
    sink = FolderSink(tmp_path / "out")
    for attempt in (lambda: sink.check(FORM), lambda: sink.stage(publication(), FORM, frame()), sink.sweep):
        with pytest.raises(StorageError, match="symbolic link"):
            attempt()
    assert list(real.iterdir()) == []


@pytest.mark.parametrize("inner", ["sales", "_versions", "sales/slot=20260301T040000Z", "_versions/sales"])
def test_a_symbolic_link_further_down_is_refused(tmp_path: Path, out: Path, inner: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (out / inner).parent.mkdir(parents=True)
    (out / inner).symlink_to(elsewhere)
    with pytest.raises(StorageError, match="symbolic link"):
        publish(FolderSink(out), publication(), frame())
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("inner", ["", "sales", "_versions", "sales/slot=20260301T040000Z"])
def test_a_file_in_the_way_is_named_and_kept(out: Path, inner: str) -> None:
    (out / inner).parent.mkdir(parents=True, exist_ok=True)
    (out / inner).write_text("mine")
    with pytest.raises(StorageError, match="is a file where a folder is needed"):
        publish(FolderSink(out), publication(), frame())
    assert (out / inner).read_text() == "mine"


def test_a_folder_in_the_way_of_the_file_is_named(out: Path) -> None:
    (out / "sales/slot=20260301T040000Z/forecasts.parquet").mkdir(parents=True)
    with pytest.raises(StorageError, match="directory"):
        publish(FolderSink(out), publication(), frame())
    assert len(FolderSink(out).read("sales")) == 0


def test_an_unknown_format_is_refused(out: Path) -> None:
    with pytest.raises(ConfigError, match="choose one of parquet, csv"):
        FolderSink(out, "feather")  # type: ignore[arg-type]


@pytest.fixture
def everybodys() -> Iterator[Path]:
    """A folder that any user may enter."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_folder_without_the_right_to_write_is_refused_before_anything_is_done(
    publishers: Any, everybodys: Path, kind: str
) -> None:
    out = everybodys / "out"
    publish(FolderSink(out, kind), publication(), frame())  # type: ignore[arg-type]
    os.chmod(out, 0o555)
    user = {"user": NOBODY} if os.getuid() == 0 else {}
    order = {"kind": kind, "place": str(everybodys), "publication": {"run": B, "version": 2, "token": 2}}
    end = publishers.run(**order, **user)
    os.chmod(out, 0o755)
    assert end.startswith("StorageError") and "access is refused" in end and str(out) in end
    pd.testing.assert_frame_equal(FolderSink(out).read("sales"), expected(frame(), publication()))


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_full_disk_leaves_the_old_forecasts_and_nothing_else(publishers: Any, tmp_path: Path, kind: str) -> None:
    order = {"kind": kind, "place": str(tmp_path), "frame": {"h": 2000}}
    assert publishers.run(**order) == "done"
    before = {name: (tmp_path / "out" / name).read_bytes() for name in files(tmp_path / "out")}
    for room in (0, 1000, 20_000):
        second = {**order, "publication": {"run": B, "version": 2, "token": 2}, "frame": {"h": 2000, "level": 1.0}}
        end = publishers.run(**second, largest_file=room)
        assert end.startswith("StorageError") and "no room" in end and "bytes are needed" in end
        assert str(tmp_path / "out") in end
        after = {name: (tmp_path / "out" / name).read_bytes() for name in files(tmp_path / "out")}
        assert after == before


def test_no_room_for_the_manifest_shows_readers_the_old_file(publishers: Any, tmp_path: Path) -> None:
    sink = FolderSink(tmp_path / "out")
    slots = [publication(f"{n:016d}").slot.replace(hour=n) for n in range(16)]
    for n, slot in enumerate(slots):
        publish(sink, publication(f"{n:016d}", slot=slot), frame())
    room = (tmp_path / "out/sales/_manifest.json").stat().st_size - 100
    assert room > next(tmp_path.rglob("forecasts.parquet")).stat().st_size + 500
    last = {"run": B, "version": 2, "token": 2}
    end = publishers.run(kind="parquet", place=str(tmp_path), publication=last, frame={"level": 1.0}, largest_file=room)
    assert end.startswith("StorageError") and "no room" in end
    publics = pd.concat([pd.read_parquet(path) for path in tmp_path.glob("out/sales/*/forecasts.parquet")])
    assert publics["mean"].max() < 10 and list(tmp_path.rglob("*.tmp")) == []
    assert publishers.run(kind="parquet", place=str(tmp_path), publication=last, frame={"level": 1.0}) == "done"
    assert B in sink.read("sales")["run"].tolist()


def test_a_lock_that_nobody_lets_go_is_waited_for_and_then_named(out: Path) -> None:
    import fcntl

    sink = FolderSink(out, patience=0.2)
    staged = sink.stage(publication(), FORM, frame())
    holder = os.open(out / "sales", os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    with pytest.raises(UnreachableError, match=r"locked by another process for 0\.2 s"):
        sink.commit(staged, lambda connection: None)
    os.close(holder)
    publish(sink, publication(), frame())


def test_where_there_are_no_hard_links_the_file_is_copied(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*names: Any, **options: Any) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", refused)
    sink = FolderSink(out)
    publish(sink, publication(), frame())
    public = out / "sales/slot=20260301T040000Z/forecasts.parquet"
    assert public.read_bytes() == (out / f"_versions/sales/20260301T040000Z/{A}.parquet").read_bytes()
    assert public.stat().st_nlink == 1


def test_a_draft_that_nobody_commits_is_gone_with_it(out: Path) -> None:
    staged = FolderSink(out).stage(publication(), FORM, frame())
    assert len(list(out.rglob("*.tmp"))) == 1
    del staged
    assert list(out.rglob("*.tmp")) == []


def test_syncs_come_in_the_order_that_survives_a_power_cut(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rename follows the sync of the file's bytes, and is made durable before the next thing is shown."""
    log: list[tuple[str, str]] = []
    fsync, replace = os.fsync, os.replace

    def name(path: Any) -> str:
        return "…tmp" if str(path).endswith(".tmp") else Path(os.path.relpath(path, out)).name

    def synced(descriptor: int) -> None:
        log.append(("sync", name(os.readlink(f"/proc/self/fd/{descriptor}"))))
        fsync(descriptor)

    def replaced(old: Any, new: Any) -> None:
        log.append(("name", name(new)))
        replace(old, new)

    sink = FolderSink(out)
    sink.check(FORM)
    staged = sink.stage(publication(), FORM, frame())
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    sink.commit(staged, lambda connection: None)
    slot = "20260301T040000Z"
    assert log == [
        ("name", f"{A}.parquet"),
        ("sync", slot),
        ("sync", "…tmp"),
        ("name", "forecasts.parquet"),
        ("sync", f"slot={slot}"),
        ("sync", "…tmp"),
        ("name", "_manifest.json"),
        ("sync", "sales"),
    ]
