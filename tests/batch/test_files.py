"""Rows from files: one snapshot, whole or refused."""

from __future__ import annotations

import gzip
import hashlib
import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecast import Schema
from forecast.batch import points
from forecast.batch.files import FileSource
from forecast.batch.protocols import Source
from forecast.errors import ConfigError, DataError, StorageError
from forecast.ingest.door import to_panel

NOW = datetime(2024, 5, 1, tzinfo=UTC)


def table(series: tuple[str, ...] = ("a", "b"), length: int = 3) -> pd.DataFrame:
    stamps = pd.date_range("2024-01-01", periods=length).as_unit("us")
    parts = [pd.DataFrame({"unique_id": name, "ds": stamps, "y": np.arange(length) + 0.25}) for name in series]
    return pd.concat(parts, ignore_index=True)


def source(pattern: object, **options: object) -> FileSource:
    return FileSource(pattern, **{"patience": 0, **options})


def with_checksum(path: Path) -> Path:
    path.with_name(path.name + ".sha256").write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    return path


WRITERS = {
    "csv": lambda frame, path: frame.to_csv(path, index=False),
    "csv.gz": lambda frame, path: frame.to_csv(path, index=False),
    "tsv": lambda frame, path: frame.to_csv(path, index=False, sep="\t"),
    "parquet": lambda frame, path: frame.to_parquet(path),
}


@pytest.mark.parametrize("ending", WRITERS)
def test_all_files_are_read_in_the_order_of_their_names(ending, tmp_path):
    for name, series in (("2", "b"), ("10", "c"), ("1", "a")):
        WRITERS[ending](table((series,)), tmp_path / f"{name}.{ending}")
    read = source(tmp_path / f"*.{ending}").read(NOW)
    pd.testing.assert_frame_equal(read, table(("a", "c", "b")))


def test_it_is_a_source_whose_facts_name_the_pattern():
    made = source("data/*.csv", columns=["unique_id", "ds", "y"])
    assert isinstance(made, Source)
    assert made.describe() == {
        "kind": "files", "pattern": "data/*.csv", "columns": ["unique_id", "ds", "y"], "zone": None, "proof": "optional",
    }  # fmt: skip


def test_links_are_followed_folders_searched_and_temporary_files_left_out(tmp_path):
    inner = tmp_path / "data" / "2024" / "may"
    inner.mkdir(parents=True)
    table(("a",)).to_parquet(inner / "a.parquet")
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    table(("b",)).to_parquet(outside / "real.parquet")
    (tmp_path / "data" / "b.parquet").symlink_to(outside / "real.parquet")
    (tmp_path / "data" / ".c.parquet.123.tmp").write_bytes(b"half")
    (tmp_path / "data" / "folder.parquet").mkdir()
    read = source(tmp_path / "data" / "**" / "*").read(NOW)
    assert read["unique_id"].unique().tolist() == ["a", "b"]


def test_ids_stay_text_as_written_and_types_do_not_depend_on_the_split_into_files(tmp_path):
    (tmp_path / "1.csv").write_text("unique_id,ds,y\n001,2024-01-01,1\nNA,2024-01-01,2\n")
    (tmp_path / "2.csv").write_text("unique_id,ds,y\n7,2024-01-02,\n1e5,2024-01-03,\n")
    (tmp_path / "3.csv").write_text("unique_id,ds,y\n")
    (tmp_path / "4.csv").write_text("unique_id,ds,y\n7,2024-01-03,1.5\n")
    read = source(tmp_path / "*.csv").read(NOW)
    assert read["unique_id"].tolist() == ["001", "NA", "7", "1e5", "7"]
    assert read["y"].dtype == np.float64 and read["ds"].dtype.kind == "M"


def test_one_cell_that_is_no_number_leaves_the_others_numbers(tmp_path):
    (tmp_path / "1.csv").write_text("unique_id,ds,y\na,2024-01-01,1\na,2024-01-02,n/a\n")
    (tmp_path / "2.csv").write_text("unique_id,ds,y\nb,2024-01-01,1e3\nb,2024-01-02,2\n")
    read = source(tmp_path / "*.csv").read(NOW)
    assert read["y"].tolist() == [1.0, "n/a", 1000.0, 2.0]
    with pytest.raises(DataError, match=r"y: not numbers: 'n/a' in series 'a' at row 1\."):
        to_panel(read, freq="D")


def test_one_date_that_is_none_leaves_the_others_to_be_read(tmp_path):
    (tmp_path / "1.csv").write_text("unique_id,ds,y\na,2024-01-01,1\na,02/01/2024,2\n")
    (tmp_path / "2.csv").write_text("unique_id,ds,y\nb,2024-01-01,1\nb,2024-01-02,2\n")
    with pytest.raises(DataError, match=r"ds: not ISO dates: '02/01/2024' in series 'a' at row 1\."):
        to_panel(source(tmp_path / "*.csv").read(NOW), freq="D")


def test_times_with_offsets_are_read_in_the_zone_of_the_source(tmp_path):
    text = "ds,y\n2024-03-30T00:00:00+01:00,1\n2024-03-31T00:00:00+01:00,2\n2024-04-01T00:00:00+02:00,3\n"
    (tmp_path / "a.csv").write_text(text)
    read = source(tmp_path / "a.csv", zone="Europe/Berlin").read(NOW)
    assert read["ds"].tolist() == list(pd.date_range("2024-03-30", periods=3, tz="Europe/Berlin"))
    plain = tmp_path / "b.csv"
    plain.write_text("ds,y\n2024-03-30,1\n")
    assert source(plain, zone="Europe/Berlin").read(NOW)["ds"].dt.tz is None


def test_columns_may_stand_in_the_index_of_a_parquet_file_and_be_chosen(tmp_path):
    table().assign(price=1.0).set_index(["unique_id", "ds"]).to_parquet(tmp_path / "a.parquet")
    read = source(tmp_path / "a.parquet", columns=("unique_id", "ds", "y")).read(NOW)
    pd.testing.assert_frame_equal(read, table())


def test_files_with_other_columns_are_named(tmp_path):
    table().to_parquet(tmp_path / "1.parquet")
    table().drop(columns="y").to_parquet(tmp_path / "2.parquet")
    with pytest.raises(DataError, match=r"2\.parquet' lacks the columns 'y', unlike '.*1\.parquet'"):
        source(tmp_path / "*").read(NOW)
    table().assign(price=1.0).to_parquet(tmp_path / "2.parquet")
    with pytest.raises(DataError, match=r"2\.parquet' has the columns 'price' too"):
        source(tmp_path / "*").read(NOW)
    assert len(source(tmp_path / "*", columns=("unique_id", "ds", "y")).read(NOW)) == 12
    with pytest.raises(DataError, match="lacks the columns 'cost', which were asked for"):
        source(tmp_path / "*", columns=("unique_id", "ds", "y", "cost")).read(NOW)


# Fault 27 of the catalogue: truncated input.


def test_a_parquet_file_cut_at_any_byte_is_named_with_its_size(tmp_path):
    path = tmp_path / "cut.parquet"
    table(length=40).to_parquet(path)
    whole = path.read_bytes()
    for size in {*range(0, len(whole), 37), *range(len(whole) - 20, len(whole))}:
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match=rf"cut\.parquet' \({size} bytes\)"):
            source(path).read(NOW)


@pytest.mark.parametrize("proof", ["checksum", "trailer"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_csv_file_that_says_how_long_it_is_is_refused_cut_at_any_byte(proof, newline, tmp_path):
    path = tmp_path / "cut.csv"
    table().to_csv(path, index=False, lineterminator=newline)
    if proof == "trailer":
        path.write_bytes(path.read_bytes() + b"# rows: 6" + newline.encode())
    else:
        with_checksum(path)
    whole = path.read_bytes()
    strict = source(path, proof="required")
    pd.testing.assert_frame_equal(strict.read(NOW), table())
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        if proof == "trailer" and whole[size:].strip() == b"":
            pd.testing.assert_frame_equal(strict.read(NOW), table())  # nothing but the last line end is missing
            continue
        with pytest.raises(DataError, match=rf"cut\.csv' \({size} bytes\)"):
            strict.read(NOW)


def test_a_csv_file_that_does_not_is_refused_unless_cut_just_between_two_lines(tmp_path):
    path = tmp_path / "cut.csv"
    table().to_csv(path, index=False)
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        if size and whole[size - 1 : size] == b"\n":
            pd.testing.assert_frame_equal(
                source(path).read(NOW).astype({"y": float}),
                table()[: whole[:size].count(b"\n") - 1],
                check_dtype=size > 20,
            )
        else:
            with pytest.raises(DataError, match=rf"cut\.csv' \({size} bytes\)"):
                source(path).read(NOW)


def test_a_zipped_csv_file_cut_at_any_byte_is_refused(tmp_path):
    path = tmp_path / "cut.csv.gz"
    whole = gzip.compress(table(length=40).to_csv(index=False).encode())
    for size in range(0, len(whole), 11):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match=rf"cut\.csv\.gz' \({size} bytes\)"):
            source(path).read(NOW)


def test_a_line_that_lacks_fields_is_named_even_where_it_ends(tmp_path):
    path = tmp_path / "short.csv"
    path.write_text("unique_id,ds,y\na,2024-01-01,1\na,2024-01-02\n")
    with pytest.raises(DataError, match=r"line 3: 2 of 3 fields"):
        source(path).read(NOW)


def test_a_changed_byte_shows_in_the_checksum(tmp_path):
    path = tmp_path / "a.csv"
    table().to_csv(path, index=False)
    with_checksum(path)
    path.write_bytes(path.read_bytes().replace(b"0.25", b"0.26", 1))
    with pytest.raises(DataError, match=r"a\.csv' \(\d+ bytes\) is not what a\.csv\.sha256 promises"):
        source(path).read(NOW)
    path.with_name("a.csv.sha256").write_text("whatever")
    with pytest.raises(DataError, match=r"a\.csv\.sha256' \(8 bytes\) is no checksum"):
        source(path).read(NOW)


def test_a_file_without_proof_is_refused_where_proof_is_required(tmp_path):
    path = tmp_path / "a.csv"
    table().to_csv(path, index=False)
    with pytest.raises(DataError, match=r"does not say how long it is.*Write a\.csv\.sha256 beside it"):
        source(path, proof="required").read(NOW)
    parquet = tmp_path / "a.parquet"
    table().to_parquet(parquet)  # ends with a footer, which is proof
    assert len(source(parquet, proof="required").read(NOW)) == 6


def test_a_wrong_number_of_rows_is_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(table().to_csv(index=False) + "# rows = 7\n")
    with pytest.raises(DataError, match="has 6 rows, its last line promises 7"):
        source(path).read(NOW)


# Fault 25: input that changes during the run.


def test_files_that_change_while_they_are_read_are_read_again_all_of_them(tmp_path):
    old, new = table(), table().assign(y=7.0)
    for name in "12":
        old.to_parquet(tmp_path / f"{name}.parquet")
    reads = []

    def change_once(point: str) -> None:
        reads.append(point)
        if len(reads) == 1:
            for name in "12":
                new.to_parquet(tmp_path / f"{name}.parquet")

    points.listener = change_once
    read = source(tmp_path / "*", patience=20).read(NOW)
    assert len(reads) == 4
    pd.testing.assert_frame_equal(read, pd.concat([new, new], ignore_index=True))


def test_a_file_that_comes_or_goes_meanwhile_is_a_change(tmp_path):
    table().to_parquet(tmp_path / "1.parquet")

    def add(point: str) -> None:
        points.listener = None
        table(("c",)).to_parquet(tmp_path / "2.parquet")

    points.listener = add
    assert len(source(tmp_path / "*", patience=20).read(NOW)) == 9


def test_a_change_that_leaves_size_and_time_as_they_were_shows_when_the_file_was_replaced(tmp_path):
    path = tmp_path / "1.parquet"
    table().to_parquet(path)
    state = path.stat()
    beside = tmp_path / "new"
    table().assign(y=[7.25, 1.25, 2.25, 0.25, 1.25, 2.25]).to_parquet(beside)
    beside.write_bytes(beside.read_bytes().ljust(0))
    os.utime(beside, ns=(state.st_atime_ns, state.st_mtime_ns))

    def replace_once(point: str) -> None:
        points.listener = None
        os.replace(beside, path)

    points.listener = replace_once
    assert source(tmp_path / "*.parquet", patience=20).read(NOW)["y"][0] == 7.25


def test_files_that_go_on_changing_are_given_up_in_time(tmp_path):
    path = tmp_path / "1.parquet"
    table().to_parquet(path)

    def change(point: str) -> None:
        os.utime(path, ns=(time.time_ns(), time.time_ns()))

    points.listener = change
    with pytest.raises(StorageError, match="changed while they were read"):
        source(path, patience=0.5).read(NOW)


def test_a_file_still_being_written_is_waited_for(tmp_path):
    path = tmp_path / "1.csv"
    text = table().to_csv(index=False)
    path.write_text(text[:40])
    writer = threading.Timer(0.3, path.write_text, [text])
    writer.start()
    pd.testing.assert_frame_equal(source(path, patience=30).read(NOW), table())
    writer.join()


def test_a_damaged_file_is_not_read_over_and_over(tmp_path):
    path = tmp_path / "1.csv"
    path.write_text(table().to_csv(index=False)[:40])
    reads = []
    points.listener = reads.append
    with pytest.raises(DataError, match="does not end with a line end, but with"):
        source(path, patience=1).read(NOW)
    assert len(reads) == 1


def test_a_pattern_without_any_file_is_named_after_a_while(tmp_path):
    with pytest.raises(StorageError, match=r"No file matches '.*no\*\.csv'"):
        source(tmp_path / "no*.csv").read(NOW)
    late = threading.Timer(0.3, lambda: table().to_parquet(tmp_path / "1.parquet"))
    late.start()
    assert len(source(tmp_path / "*.parquet", patience=30).read(NOW)) == 6
    late.join()


def test_a_disk_that_fails_is_a_matter_of_storage(tmp_path):
    (tmp_path / "a.csv").symlink_to("/proc/self/mem")  # reading it from its start is an input/output error
    with pytest.raises(StorageError, match=r"a\.csv' cannot be read: Input/output error"):
        source(tmp_path / "a.csv").read(NOW)


def test_what_cannot_be_meant_is_refused(tmp_path):
    (tmp_path / "a.xlsx").write_bytes(b"x")
    with pytest.raises(ConfigError, match="told from the ending"):
        source(tmp_path / "a.xlsx").read(NOW)
    with pytest.raises(ConfigError, match="not a path"):
        source("")
    with pytest.raises(ConfigError, match="proof='maybe'"):
        source("x.csv", proof="maybe")


def test_other_names_of_columns_are_respected(tmp_path):
    frame = table(("001",)).set_axis(["shop", "day", "sales"], axis=1)
    frame.to_csv(tmp_path / "a.csv", index=False)
    read = source(tmp_path / "a.csv", schema=Schema("shop", "day", "sales")).read(NOW)
    pd.testing.assert_frame_equal(read, frame)
