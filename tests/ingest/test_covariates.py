"""Covariates that change over time at the door: they follow their rows, whatever happens to these."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast import ConfigError, DataError, ForecastWarning, Schema
from forecast.ingest.door import read_panel, to_panel
from forecast.ingest.features import feature_column
from forecast.ingest.terms import Terms
from forecast.panel.append import append
from forecast.panel.covariates import Covariates, Labels, Numbers
from forecast.panel.fill import as_models_see
from forecast.panel.panel import Panel
from forecast.panel.split import known_at

NAN = float("nan")
SCHEMA = Schema(hist_exog=("price", "weather"), futr_exog=("promo",))


def long(ids: str = "aaaabbb", days: tuple[int, ...] = (1, 2, 3, 4, 2, 3, 4), **columns: object) -> pd.DataFrame:
    """One row for each letter of ``ids``: price 10 x row, promo alternating."""
    rows = np.arange(len(ids))
    base = {
        "unique_id": list(ids),
        "ds": [pd.Timestamp(2024, 1, day) for day in days],
        "y": 1.0 + rows,
        "price": 10.0 * rows,
        "weather": [("sun", "rain", None)[row % 3] for row in rows],
        "promo": rows % 2 == 0,
    }
    return pd.DataFrame({**base, **columns})


def cells(column: Numbers | Labels) -> list[object]:
    return column.cells().tolist()


def table(panel: Panel) -> pd.DataFrame:
    """Every row of the panel with its covariates."""
    assert panel.hist is not None
    assert panel.futr is not None
    np.testing.assert_array_equal(panel.futr.offsets, panel.offsets)
    np.testing.assert_array_equal(panel.futr.first, panel.first)
    columns = {**panel.hist.cells(), **panel.futr.covariates.cells()}
    return pd.DataFrame(
        {"unique_id": panel.ids.repeat(panel.lengths), "ds": panel.stamps(), "y": panel.values, **columns}
    )


def test_each_row_of_the_panel_has_the_covariates_of_its_row_in_the_frame():
    panel = to_panel(long(), SCHEMA, "D")
    assert panel.hist is not None
    assert panel.hist.names == ("price", "weather")
    assert cells(panel.hist.column("price")) == [0, 10, 20, 30, 40, 50, 60]
    assert cells(panel.hist.column("weather")) == ["sun", "rain", None, "sun", "rain", None, "sun"]
    assert panel.futr is not None
    assert cells(panel.futr.covariates.column("promo")) == ["True", "False", "True", "False", "True", "False", "True"]


def test_without_covariates_in_the_schema_the_columns_are_left_alone():
    panel = to_panel(long(), freq="D")
    assert panel.hist is None
    assert panel.futr is None


FORMS = {
    "polars": lambda f: pl.from_pandas(f),
    "arrow table": lambda f: pa.Table.from_pandas(f),
    "arrow-backed": lambda f: f.convert_dtypes(dtype_backend="pyarrow"),
    "id and time in the index": lambda f: f.set_index(["unique_id", "ds"]),
    "columns in another order": lambda f: f[f.columns[::-1]],
    "more columns": lambda f: f.assign(junk=pd.to_timedelta(1, unit="D"), other=[["x"]] * len(f)),
    "categories in another order": lambda f: f.assign(
        weather=pd.Categorical(f["weather"], categories=["storm", "sun", "rain"])
    ),
    "numbers as objects": lambda f: f.assign(price=[Decimal(int(v)) for v in f["price"]]),
    "text as objects": lambda f: f.assign(weather=f["weather"].astype(object)),
    "an odd row index": lambda f: f.set_axis([7] * len(f)),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_frame_gives_the_same_covariates(form):
    expected, found = (
        table(to_panel(f, SCHEMA, "D")).astype({"unique_id": str}) for f in (long(), FORMS[form](long()))
    )
    pd.testing.assert_frame_equal(found, expected)


@given(st.permutations(range(7)))
def test_the_order_of_rows_changes_nothing(order):
    given_rows = long().iloc[list(order)]
    before = given_rows.copy(deep=True)
    shuffled = table(to_panel(given_rows, SCHEMA, "D"))
    pd.testing.assert_frame_equal(given_rows, before)
    expected = table(to_panel(long(), SCHEMA, "D"))
    order_of = ["unique_id", "ds"]
    pd.testing.assert_frame_equal(
        shuffled.sort_values(order_of, ignore_index=True), expected.sort_values(order_of, ignore_index=True)
    )


def test_rows_that_are_missing_from_the_grid_have_no_covariates():
    whole = long("aaaaabbbb", (1, 2, 3, 4, 5, 2, 3, 4, 5))
    filled = table(to_panel(whole.drop(index=[1, 7]), SCHEMA, "D"))
    gap = filled[filled["y"].isna()]
    assert gap["ds"].dt.day.tolist() == [2, 4]
    assert gap[["price", "weather", "promo"]].isna().all(axis=None)
    pd.testing.assert_frame_equal(
        filled.dropna(subset="y").reset_index(drop=True),
        table(to_panel(whole, SCHEMA, "D")).drop(index=[1, 7]).reset_index(drop=True),
    )


@pytest.mark.filterwarnings("ignore::forecast.ForecastWarning")
def test_leading_rows_without_a_target_go_and_trailing_ones_stay_with_their_covariates():
    panel = to_panel(long(y=[NAN, 2.0, 3.0, NAN, 5.0, 6.0, 7.0]), SCHEMA, "D")
    assert panel.hist is not None
    assert cells(panel.hist.column("price")) == [10, 20, 30, 40, 50, 60]


@pytest.mark.parametrize(("how", "price"), [("first", 10.0), ("mean", 10.0), ("sum", 10.0), ("last", 77.0)])
def test_of_merged_duplicates_the_first_known_covariate_counts_with_a_warning(how, price):
    schema = Schema(hist_exog=("price", "weather"), futr_exog=("promo",), duplicates=how)
    twice = pd.concat([long(), long().iloc[[1, 2]].assign(price=[77.0, 20.0], weather=["rain", "sun"])])
    with pytest.warns(ForecastWarning, match=r"covariates differ \('price'; 1 cells\)"):
        panel = to_panel(twice, schema, "D")
    assert panel.hist is not None
    assert cells(panel.hist.column("price"))[1:3] == [price, 20.0]
    assert cells(panel.hist.column("weather"))[1:3] == ["rain", "sun"]  # the second was unknown in the first row


def test_merging_duplicates_that_agree_says_nothing(recwarn):
    schema = Schema(hist_exog=("price", "weather"), futr_exog=("promo",), duplicates="mean")
    twice = pd.concat([long(), long().iloc[[1, 2, 2]]])
    pd.testing.assert_frame_equal(table(to_panel(twice, schema, "D")), table(to_panel(long(), SCHEMA, "D")))
    assert not recwarn.list


def test_a_time_of_day_that_the_clock_jumped_over_keeps_its_covariates():
    stamps = pd.date_range("2024-03-29 02:30", periods=4, freq="D").tz_localize(
        "Europe/Berlin", nonexistent="shift_forward"
    )
    frame = pd.DataFrame({"ds": stamps, "y": [1.0, 2, 3, 4], "price": [1.0, 2, 3, 4]})
    panel = to_panel(frame, Schema(hist_exog=("price",)), "D")
    assert panel.hist is not None
    assert cells(panel.hist.column("price")) == [1, 2, 3, 4]


FAULTS = {
    "a typo": (long().rename(columns={"price": "prise"}), r"price: no such column .* Did you mean 'prise'\?"),
    "two columns of one name": (
        pd.concat([long(), long()[["promo"]]], axis=1),
        "promo: 2 columns have this name. Rename or drop all but one",
    ),
    "infinity": (
        long(price=[0, 1, np.inf, 3, 4, 5, 6.0]),
        "price: the value is infinite in series 'a' at row 2. Replace",
    ),
    "a list": (
        long(weather=["sun", "sun", "sun", "sun", "sun", ["x"], "sun"]),
        r"neither numbers nor text: \['x'\] in series 'b' at row 5",
    ),
    "dates": (long(promo=pd.to_datetime(["2024"] * 7)), "promo: a feature cannot have dtype datetime64"),
}


@pytest.mark.parametrize("policy", ["raise", "skip"])
@pytest.mark.parametrize("case", FAULTS)
def test_a_column_that_cannot_be_read_is_named_with_series_row_and_remedy(case, policy):
    frame, message = FAULTS[case]
    schema = Schema(hist_exog=("price", "weather"), futr_exog=("promo",), on_bad_series=policy)
    if policy == "skip" and " in series " in message:
        with pytest.warns(ForecastWarning, match=message):
            reading = read_panel(frame, Terms(schema, "D"))
        assert len(reading.panel) == len(reading.bad) == 1
        return
    with pytest.raises(DataError, match=message):
        to_panel(frame, schema, "D")


def test_faults_of_covariates_are_told_together_with_those_of_the_target():
    frame = long(price=[0, np.inf, 2, 3, 4, 5, -np.inf], y=[1, 2, 3, np.inf, 5, 6, 7.0])
    with pytest.raises(DataError) as caught:
        to_panel(frame, SCHEMA, "D")
    told = {(fault.column, fault.series, fault.rows) for fault in caught.value.report}
    assert told == {("price", "a", (1,)), ("price", "b", (6,)), ("y", "a", (3,))}


def test_a_bad_series_is_mended_and_the_others_keep_their_covariates():
    schema = Schema(hist_exog=("price", "weather"), futr_exog=("promo",), on_bad_series="fallback")
    frame = pd.concat([long(price=[0, np.inf, 20, 30, 40, 50, 60.0]), long().iloc[[2]].assign(y=9.0, price=5.0)])
    with pytest.warns(ForecastWarning):
        reading = read_panel(frame, Terms(schema, "D"))
    assert list(reading.bad) == ["a"]
    mended = table(reading.panel)
    assert mended["price"].fillna(-1).tolist() == [0, -1, 5, 30, 40, 50, 60]
    good = mended["unique_id"] == "b"
    pd.testing.assert_frame_equal(mended[good], table(to_panel(long(), SCHEMA, "D"))[good])


@pytest.mark.parametrize("names", ["price", [3], ["y"], ["price", "price"]])
@pytest.mark.parametrize("role", ["hist_exog", "futr_exog"])
def test_roles_that_cannot_be_are_refused(role, names):
    with pytest.raises(ConfigError, match=f"{role}="):
        Schema(**{role: names})


def test_a_covariate_has_one_role():
    with pytest.raises(ConfigError, match="price: a covariate has one role"):
        Schema(hist_exog=("price",), futr_exog=("price",))


def test_columns_are_of_the_kind_they_were_when_fitting():
    known = to_panel(long(weather=[1, 2, 3, 4, 5, 6, 7]).astype({"weather": str}), SCHEMA, "D")
    again = read_panel(long(weather=[1, 2, 3, 4, 5, 6, 7]), Terms(SCHEMA, "D", known)).panel
    assert again.hist is not None
    assert cells(again.hist.column("weather")) == ["1", "2", "3", "4", "5", "6", "7"]
    with pytest.raises(
        DataError, match=r"price: it was numeric when fitting and holds 'dear' now in series 'a' at row 1"
    ):
        read_panel(long(price=[0, "dear", 2, 3, 4, 5, 6]), Terms(SCHEMA, "D", known))


def test_a_cut_takes_what_was_known_up_to_it_and_nothing_of_what_is_known_ahead():
    panel = to_panel(long(), SCHEMA, "D")
    past = known_at(panel, panel.last - 2).panel
    assert past.hist is not None
    assert cells(past.hist.column("price")) == [0, 10, 40]
    assert past.futr is not None
    assert cells(past.futr.covariates.column("promo")) == cells(panel.futr.covariates.column("promo"))
    seen = as_models_see(
        to_panel(long().drop(index=1), Schema(missing="ffill", hist_exog=("price",), futr_exog=("promo",)), "D")
    )
    assert seen.hist is not None
    assert seen.futr is not None
    assert cells(seen.hist.column("price"))[:2] == [0, pytest.approx(NAN, nan_ok=True)]  # the target alone is filled


@given(st.integers(1, 2), st.booleans())
def test_appending_is_reading_everything_at_once(keep, gap):
    whole = long("aaaabbbc", (1, 2, 3, 4, 2, 3, 4, 3))
    frame = whole.drop(index=[2] if gap else [])
    first = frame["ds"] <= pd.Timestamp(2024, 1, 1 + keep)
    history = to_panel(frame[first], SCHEMA, "D")
    new = read_panel(frame[~first], Terms(SCHEMA, known=history, onward=True)).panel
    both, expected = append(history, new), to_panel(frame, SCHEMA, "D")
    assert both.ids.tolist() == expected.ids.tolist()
    pd.testing.assert_frame_equal(table(both), table(expected))


def test_objects_that_are_all_alike_are_read_like_any_others():
    mixed = pd.Series(["a", "b", None, "", "a"], dtype=object, name="f")
    read = feature_column(mixed, "f").values
    assert isinstance(read, Labels)
    assert cells(read) == ["a", "b", None, None, "a"]
    truth = feature_column(pd.Series([True, None, False], dtype=object, name="f"), "f").values
    assert cells(truth) == ["True", None, "False"]


def test_only_the_cells_that_are_no_numbers_are_at_fault():
    column = feature_column(pd.Series([1, "x", None, True, np.inf], dtype=object, name="f"), "f", Numbers)
    assert [fault.rows for fault in column.faults] == [(1, 3), (4,)]
    np.testing.assert_array_equal(column.values.values, [1, NAN, NAN, NAN, NAN])
    assert isinstance(Covariates((column.values,)), Covariates)
