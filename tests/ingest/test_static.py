"""Static features at the door: every make of column, every fault with column, series, row and remedy."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from forecast import ConfigError, DataError, ForecastWarning, Schema
from forecast.ingest.door import to_panel
from forecast.ingest.features import feature_column, label
from forecast.panel.covariates import Covariates, Labels, Numbers
from tests.conftest import seasonal_frame

NAN = float("nan")
FRAME = seasonal_frame(3, 20)


def table(**columns: object) -> pd.DataFrame:
    base = {"unique_id": ["s0", "s1", "s2"], "size": [1.0, 2.0, 3.0], "colour": ["red", "blue", "red"]}
    return pd.DataFrame({**base, **columns})


def cells(column: Numbers | Labels) -> list[object]:
    if isinstance(column, Numbers):
        return column.values.tolist()
    return [column.labels[code] if code >= 0 else None for code in column.codes]


def plain(static: Covariates | None) -> dict[str, list[object]]:
    assert static is not None
    return {column.name: cells(column) for column in static.columns}


def read(column: object, kind: type | None = None) -> Numbers | Labels:
    found = feature_column(pd.Series(column, name="f"), "f", kind)
    assert not found.faults, found.faults
    return found.values


NUMBERS = {
    "integers": (np.array([1, 2, 3], dtype=np.int8), [1.0, 2.0, 3.0]),
    "floats with a gap": ([1.0, NAN, 3.0], [1.0, NAN, 3.0]),
    "nullable integers": (pd.array([1, None, 3], dtype="Int64"), [1.0, NAN, 3.0]),
    "arrow floats": (pd.array([1.0, None, 3.0], dtype="double[pyarrow]"), [1.0, NAN, 3.0]),
    "objects": (np.array([Decimal("1.5"), None, 2], dtype=object), [1.5, NAN, 2.0]),
    "nothing at all": (np.array([None, None], dtype=object), [NAN, NAN]),
}
LABELS = {
    "text": (["a", "b", None], ["a", "b", None]),
    "arrow text": (pd.array(["a", None, "b"], dtype="string[pyarrow]"), ["a", None, "b"]),
    "categories": (pd.Categorical(["b", None, "a"], categories=["unused", "a", "b"]), ["b", None, "a"]),
    "whole-number categories": (pd.Categorical([2, 1, 2]), ["2", "1", "2"]),
    "truth values": ([True, False, True], ["True", "False", "True"]),
    "truth values with a gap": (pd.array([True, None], dtype="boolean"), ["True", None]),
    "a mixture": (np.array(["a", 1, 2.5, True, None, ""], dtype=object), ["a", "1", "2.5", "True", None, None]),
    "one label, three ways": (np.array(["1", 1, 1.0], dtype=object), ["1", "1", "1"]),
}


@pytest.mark.parametrize("case", NUMBERS)
def test_numbers_of_every_make_are_read_as_floats(case):
    given, expected = NUMBERS[case]
    found = read(given)
    assert isinstance(found, Numbers)
    np.testing.assert_array_equal(found.values, expected)


@pytest.mark.parametrize("case", LABELS)
def test_everything_else_becomes_labels(case):
    given, expected = LABELS[case]
    found = read(given)
    assert isinstance(found, Labels)
    assert cells(found) == expected


def test_a_label_that_is_a_whole_number_is_exact_and_told_apart_by_what_it_says():
    assert [label(v) for v in (2**60 + 1, 3.0, np.float32(0.5), Decimal(7))] == [str(2**60 + 1), "3", "0.5", "7"]
    assert cells(read(np.array([2**60 + 1, 2**60]), Labels)) == [str(2**60 + 1), str(2**60)]


def test_numbers_are_labels_again_where_they_were_when_fitting():
    assert cells(read([1, 2], Labels)) == cells(read(["1", "2"], Labels)) == ["1", "2"]
    assert cells(read([1.0, NAN], Labels)) == ["1", None]
    assert cells(read([None, None], Numbers)) == pytest.approx([NAN, NAN], nan_ok=True)


@pytest.mark.parametrize(
    ("column", "kind", "hint"),
    [
        (pd.to_datetime(["2024-01-01"]), None, "dtype datetime64"),
        (pd.to_timedelta([1], unit="D"), None, "dtype timedelta64"),
        ([1 + 2j], None, "dtype complex128"),
        (pd.arrays.SparseArray([1.0, 2.0]), None, "dtype Sparse"),
        (pd.period_range("2024-01", periods=2, freq="M"), None, "neither numbers nor text: Period"),
        (pd.interval_range(0, 2), None, "neither numbers nor text: Interval"),
        ([["a"], ["b"]], None, r"neither numbers nor text: \['a'\]"),
        ([b"a"], None, "neither numbers nor text: b'a'"),
        ([1.0, np.inf], None, "the value is infinite"),
        ([1.0, np.inf], Labels, "neither numbers nor text: inf"),
        (["a", None], Numbers, "numeric when fitting and holds 'a' now"),
        ([True], Numbers, "numeric when fitting and holds True now"),
    ],
)
def test_a_column_that_cannot_be_a_feature_is_a_fault(column, kind, hint):
    found = feature_column(pd.Series(column, name="f"), "f", kind)
    (fault,) = found.faults
    assert fault.column == "f"
    assert fault.remedy
    import re

    assert re.search(hint, fault.problem), fault.problem


FORMS = {
    "polars": lambda f: pl.from_pandas(f),
    "arrow table": lambda f: pa.Table.from_pandas(f),
    "arrow-backed": lambda f: f.convert_dtypes(dtype_backend="pyarrow"),
    "id in the index": lambda f: f.set_index("unique_id"),
    "shuffled rows": lambda f: f.iloc[[2, 0, 1]],
    "categorical colours in another order": lambda f: f.assign(
        colour=pd.Categorical(f["colour"], categories=["red", "none", "blue"])
    ),
    "columns in another order": lambda f: f[["colour", "unique_id", "size"]],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_table_gives_the_same_features(form):
    static = plain(to_panel(FRAME, static=FORMS[form](table())).static)
    assert static == {"size": [1.0, 2.0, 3.0], "colour": ["red", "blue", "red"]}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_gives_the_same_features_as_its_table(ending, tmp_path):
    path = tmp_path / f"static.{ending}"
    given = table(colour=["red", None, "a,b"], new=[True, False, True])
    given.to_parquet(path) if ending == "parquet" else given.to_csv(path, index=False)
    static = plain(to_panel(FRAME, static=path).static)
    assert static == plain(to_panel(FRAME, static=given).static)
    assert static["new"] == ["True", "False", "True"]


def test_features_go_with_their_series_whatever_the_order():
    backwards = FRAME.iloc[::-1]
    panel = to_panel(backwards, static=table())
    assert panel.ids.tolist() == ["s2", "s1", "s0"]
    assert plain(panel.static)["size"] == [3.0, 2.0, 1.0]


def test_only_the_columns_named_are_features():
    panel = to_panel(FRAME, Schema(stat_exog=("colour",)), static=table(junk=pd.to_datetime(["2024"] * 3)))
    assert list(plain(panel.static)) == ["colour"]
    assert to_panel(FRAME, static=table()[["unique_id"]]).static is None
    assert to_panel(FRAME, Schema(stat_exog=()), static=table()).static is None


def test_one_series_without_ids_takes_a_table_of_one_row():
    panel = to_panel(FRAME[FRAME["unique_id"] == "s0"].drop(columns="unique_id"), static=pd.DataFrame({"size": [4.0]}))
    assert plain(panel.static) == {"size": [4.0]}


def test_every_fault_of_table_and_frame_is_in_one_error():
    bad = table(size=[np.inf, 2.0, 3.0], colour=["red", ["x"], "red"])
    bad = pd.concat([bad, bad.iloc[[2]]])
    frame = FRAME.assign(y=FRAME["y"].mask(FRAME.index == 5, np.inf))
    with pytest.raises(DataError) as caught:
        to_panel(frame, static=bad)
    told = [str(fault) for fault in caught.value.report]
    assert told[0].startswith("y: the value is infinite in series 's0' at row 5.")
    assert "static_df: several rows of static features in series 's2' at rows 2, 3. Keep one row" in told[1]
    assert told[2].startswith("size of static_df: the value is infinite in series 's0' at row 0.")
    assert told[3].startswith("colour of static_df: neither numbers nor text: ['x'] in series 's1' at row 1.")


@pytest.mark.parametrize(
    ("given", "schema", "hint"),
    [
        (table().iloc[:2], Schema(), "static_df: no row of static features in series 's2'. Add its row"),
        (table(), Schema(stat_exog=("color",)), "color of static_df: no such column .* Did you mean 'colour'"),
        (table().rename(columns={"unique_id": "id"}), Schema(), "unique_id of static_df: no such column among 'id'"),
        (table(unique_id=[None, "s1", "s2"]), Schema(), "unique_id of static_df: the id is missing at row 0"),
        (table(unique_id=[0, 1, 2]), Schema(), "its ids are integer, those of the series are string"),
        (table().rename(columns={"size": 7}), Schema(), "7 of static_df: the name of a feature must be text"),
        (pd.concat([table(), table()[["size"]]], axis=1), Schema(), "size of static_df: 2 columns have this name"),
        (table().iloc[:0], Schema(), "frame of static_df: it has no rows"),
        ("nowhere.csv", Schema(), "file of static_df: 'nowhere.csv' does not exist"),
        (FRAME[["unique_id", "y"]], Schema(), "several rows of static features"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(given, schema, hint):
    with pytest.raises(DataError, match=hint):
        to_panel(FRAME, schema, static=given)


def test_rows_of_series_that_are_not_there_are_ignored_with_a_warning():
    more = pd.concat([table(), table().assign(unique_id=["x", "y", "z"])])
    with pytest.warns(ForecastWarning, match=r"rows of 3 series that the data do not have.*'x', 'y', 'z'"):
        panel = to_panel(FRAME, static=more)
    assert panel.ids.tolist() == ["s0", "s1", "s2"]


def test_a_series_without_a_row_is_left_out_where_that_was_asked_for():
    with pytest.warns(ForecastWarning, match=r"1 of 3 series left out.*'s1'.*no row of static features"):
        panel = to_panel(FRAME, Schema(on_bad_series="skip"), static=table().iloc[[0, 2]])
    assert panel.ids.tolist() == ["s0", "s2"]
    assert plain(panel.static)["size"] == [1.0, 3.0]


def test_features_may_stand_in_the_long_frame():
    wide = FRAME.merge(table(size=[1.0, NAN, 3.0]), on="unique_id")
    panel = to_panel(wide.sample(frac=1.0, random_state=1), Schema(stat_exog=("colour", "size")))
    at = {name: row for row, name in enumerate(panel.ids)}
    static = plain(panel.static)
    assert [static["colour"][at[name]] for name in ("s0", "s1", "s2")] == ["red", "blue", "red"]
    assert [static["size"][at[name]] for name in ("s0", "s2")] == [1.0, 3.0]
    assert np.isnan(static["size"][at["s1"]])
    assert to_panel(wide).static is None


def test_a_feature_that_varies_within_a_series_is_refused_with_its_rows():
    wide = FRAME.merge(table(), on="unique_id")
    wide.loc[[3, 4], "size"] = 9.0
    wide.loc[25, "colour"] = None
    with pytest.raises(DataError) as caught:
        to_panel(wide, Schema(stat_exog=("size", "colour")))
    told = str(caught.value)
    assert "size: the static feature varies in series 's0' at rows 3, 4." in told
    assert "colour: the static feature varies in series 's1' at row 25." in told


def test_a_declared_feature_that_is_nowhere_is_refused():
    with pytest.raises(DataError, match=r"colour: no such column among .*Add it, or fit with other stat_exog"):
        to_panel(FRAME, Schema(stat_exog=("colour",)))


@pytest.mark.parametrize("wrong", ["colour", [1], ["y"], ["a", "a"], 3])
def test_a_list_of_features_that_is_none_is_refused(wrong):
    with pytest.raises(ConfigError, match="stat_exog="):
        Schema(stat_exog=wrong)


def test_the_tables_given_are_unchanged():
    given, before = table(), table()
    to_panel(FRAME, static=given)
    with pytest.raises(DataError):
        to_panel(FRAME, static=given.iloc[:1])
    pd.testing.assert_frame_equal(given, before)
