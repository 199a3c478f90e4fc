from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecast.errors import DownloadError
from forecast.ingest import catalog
from forecast.ingest.rawfiles import read, read_tsf

TSF = """\
# Dataset information, with an accent: caf\xe9
@relation tourism
@attribute series_name string
@attribute start_timestamp date
@frequency quarterly
@horizon 8
@missing true
@equallength false
@data
T10:1979-04-01 00-00-00:1,2,?,4
T2:1980-10-01 00-00-00:10.5,20,30
"""


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_text(text, encoding="latin-1")
        return path

    return write


def m4(write, train, test):
    return [write("Weekly-train.csv", train), write("Weekly-test.csv", test)]


WEEKLY = catalog.card("m4_weekly")
TOURISM = replace(catalog.card("tourism_quarterly"), h=2)


def test_m4_pads_are_dropped_and_test_rows_follow_train_rows(write):
    train = '"V1","V2","V3","V4"\n"W2","1","2","3"\n"W1","4","5",\n'
    test = '"V1","V2","V3"\n"W1","6","7"\n"W2","8","9"\n'
    sundays = ["2000-01-02", "2000-01-09", "2000-01-16", "2000-01-23", "2000-01-30"]
    expected = pd.DataFrame(
        {
            "unique_id": ["W1"] * 4 + ["W2"] * 5,
            "ds": pd.to_datetime([*sundays[:4], *sundays]).as_unit("us"),
            "y": [4.0, 5, 6, 7, 1, 2, 3, 8, 9],
            "split": ["train", "train", "test", "test", "train", "train", "train", "test", "test"],
        }
    )
    pd.testing.assert_frame_equal(read(WEEKLY, m4(write, train, test)), expected)


def test_m4_keeps_a_gap_inside_a_series(write):
    frame = read(WEEKLY, m4(write, "V1,V2,V3,V4\nW1,1,,3\n", "V1,V2\nW1,4\n"))
    np.testing.assert_array_equal(frame["y"], [1, np.nan, 3, 4])


def test_m4_series_in_any_order_find_their_test_rows(write):
    ids = [f"W{i}" for i in range(2500)]
    train = "V1,V2,V3\n" + "".join(f"{name},{n},\n" for n, name in enumerate(ids))
    test = "V1,V2\n" + "".join(f"{name},-{n}\n" for n, name in reversed(list(enumerate(ids))))
    frame = read(WEEKLY, m4(write, train, test))
    assert frame["unique_id"].is_monotonic_increasing
    numbers = frame["unique_id"].str[1:].astype(float)
    np.testing.assert_array_equal(frame["y"], np.where(frame["split"] == "train", numbers, -numbers))


def test_m4_series_of_eight_centuries_get_dates(write):
    yearly = replace(catalog.card("m4_yearly"))
    row = ",".join(["1"] * 835)
    header = ",".join(f"V{i}" for i in range(1, 837))
    paths = [write("Yearly-train.csv", f"{header}\nY1,{row}\n"), write("Yearly-test.csv", "V1,V2\nY1,1\n")]
    assert read(yearly, paths)["ds"].iloc[-1] == pd.Timestamp("2835-01-01").as_unit("us")


@pytest.mark.parametrize(
    ("train", "test", "words"),
    [
        ("V1,V2\nW1,1\n", "V1,V2\nW2,1\n", "only one of train and test"),
        ("id,V2\nW1,1\n", "V1,V2\nW1,1\n", "the first column is 'id,V2', not 'V1'"),
        ("V1,V2\nW1,x\n", "V1,V2\nW1,1\n", "line 2: could not convert"),
        ("V1,V2\n", "V1,V2\nW1,1\n", "no series"),
        ("", "V1,V2\nW1,1\n", "the first column is ''"),
        ("V1,V2\nW1,1\nW1,1\n", "V1,V2\nW1,1\nW1,2\n", "more than once"),
    ],
)
def test_m4_files_of_another_form_are_refused(write, train, test, words):
    with pytest.raises(DownloadError, match=words):
        read(WEEKLY, m4(write, train, test))


def test_m4_needs_both_files(write):
    with pytest.raises(DownloadError, match="one train and one test"):
        read(WEEKLY, [write("Weekly-train.csv", "V1,V2\nW1,1\n")])


def test_tsf_series_are_sorted_and_the_last_h_rows_are_the_test_split(write):
    frame = read(TOURISM, [write("a.tsf", TSF)])
    assert frame["unique_id"].tolist() == ["T10"] * 4 + ["T2"] * 3
    np.testing.assert_array_equal(frame["y"], [1, 2, np.nan, 4, 10.5, 20, 30])
    assert frame["split"].tolist() == ["train", "train", "test", "test", "train", "test", "test"]
    stamps = ["1979-04-01", "1979-07-01", "1979-10-01", "1980-01-01", "1980-10-01", "1981-01-01", "1981-04-01"]
    assert frame["ds"].tolist() == [pd.Timestamp(stamp) for stamp in stamps]


def test_a_tsf_start_within_a_quarter_moves_to_its_beginning(write):
    frame = read(TOURISM, [write("a.tsf", TSF.replace("1980-10-01", "1980-11-15"))])
    assert frame["ds"].iloc[4] == pd.Timestamp("1980-10-01")


def test_a_tsf_without_starts_counts_from_the_cards_start(write):
    text = "@attribute series_name string\n@horizon 8\n@data\nT1:" + ",".join("123456789") + "\n"
    frame = read(catalog.card("m3_other"), [write("a.tsf", text)])
    assert frame["ds"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert frame["split"].tolist() == ["train"] + ["test"] * 8


def test_a_tsf_with_more_attributes_finds_name_and_start(write):
    path = write("a.tsf", "@attribute kind string\n@attribute series_name string\n@data\nrain:T1:1,2\n")
    assert read_tsf(path).ids == ["T1"]
    assert read_tsf(path).starts is None


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("10.5,20", "10.5,twenty", "line 11.*twenty"),
        ("T2:1980", "1980", "line 11: 1 fields"),
        ("1980-10-01", "sometime!!", "start cannot be read"),
        ("@data", "@date", "no series"),
        ("T2", "T10", "'T10' occur more than once"),
    ],
)
def test_a_tsf_of_another_form_is_refused(write, old, new, words):
    with pytest.raises(DownloadError, match=words):
        read(TOURISM, [write("a.tsf", TSF.replace(old, new))])


def test_a_tsf_without_starts_is_refused_when_the_card_has_none_either(write):
    with pytest.raises(DownloadError, match="no start stamps"):
        read(TOURISM, [write("a.tsf", "@attribute series_name string\n@data\nT1:1,2,3\n")])


def test_ett_columns_become_series(write):
    text = "date,HUFL,HULL,MUFL,MULL,LUFL,LULL,OT\n"
    text += "2016-07-01 00:00:00,1,2,3,4,5,6,7\n2016-07-01 01:00:00,8,9,10,11,12,13,14\n"
    frame = read(catalog.card("etth1"), [write("ETTh1.csv", text)])
    assert list(frame.columns) == ["unique_id", "ds", "y"]
    assert frame.loc[frame["unique_id"] == "OT", "y"].tolist() == [7, 14]
    assert frame["ds"].iloc[1] == pd.Timestamp("2016-07-01 01:00")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("date,OT\n2016-07-01,1\n", "no column 'HUFL'"),
        ("", "not a csv table"),
        ("date,HUFL,HULL,MUFL,MULL,LUFL,LULL,OT\nyesterday,1,2,3,4,5,6,7\n", "a time cannot be read"),
        ("date,HUFL,HULL,MUFL,MULL,LUFL,LULL,OT\n" + "2016-07-01,1,2,3,4,5,6,7\n" * 2, "7 rows repeat a time"),
    ],
)
def test_an_ett_file_of_another_form_is_refused(write, text, words):
    with pytest.raises(DownloadError, match=words):
        read(catalog.card("etth1"), [write("ETTh1.csv", text)])


def test_a_matrix_gives_one_series_for_each_column(write):
    frame = read(catalog.card("exchange_rate"), [write("a.txt", "1,2,3,4,5,6,7,8\n9,10,11,12,13,14,15,16\n")])
    assert frame.loc[frame["unique_id"] == "australia", "y"].tolist() == [1, 9]
    assert frame.loc[frame["unique_id"] == "singapore", "y"].tolist() == [8, 16]
    assert frame["ds"].tolist() == [0, 1] * 8
    assert frame["unique_id"].is_monotonic_increasing


@pytest.mark.parametrize(("text", "words"), [("1,2\n", "2 columns, the card names 8"), ("a,b\n", "not a matrix")])
def test_a_matrix_of_another_form_is_refused(write, text, words):
    with pytest.raises(DownloadError, match=words):
        read(catalog.card("exchange_rate"), [write("a.txt", text)])


def test_one_file_is_expected_where_an_archive_held_two(write):
    with pytest.raises(DownloadError, match="2 files"):
        read(TOURISM, [write("a.tsf", TSF), write("b.tsf", TSF)])
