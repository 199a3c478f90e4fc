"""``forecast data inspect``: the roles it proposes and why, what it measures, the faults it lists, and what goes on from it."""

from __future__ import annotations

import shlex
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast import ConfigError, DataError, Forecaster, Schema, inspect, load_dataset
from forecast.cli import main
from forecast.ingest.door import read_panel
from forecast.ingest.inspection import Inspection
from forecast.ingest.terms import Terms
from tests.ingest.test_bad_inputs import CASES
from tests.ingest.test_time_inputs import CASES as TIME_CASES

NAN = float("nan")
N = 48


def shop(series: int = 4, n: int = N) -> pd.DataFrame:
    """Monthly sales of some articles, with columns of every role and of none."""
    rng = np.random.default_rng(3)
    frames = []
    market = rng.standard_normal(n).cumsum()
    for number in range(series):
        months = pd.date_range("2019-01-01", periods=n, freq="MS")
        sales = 100.0 + 10 * number + rng.standard_normal(n)
        columns = {
            "article": f"A{number}", "month": months, "sales": sales, "brand": ["x", "y"][number % 2],
            "shelf": 1.5 * number, "promo": rng.integers(0, 2, n), "list_price": 9 + rng.random(n),
            "market": market, "weather": rng.standard_normal(n), "summer": months.month.isin([6, 7, 8]).astype(int),
            "clock": np.arange(n), "currency": "EUR", "empty": NAN, "cents": 100 * sales, "comment": [f"{number}-{i}" for i in range(n)],
            "article_name": f"name {number}", "ordered": months - pd.Timedelta("9D"), "split": ["train"] * (n - 6) + ["test"] * 6,
        }  # fmt: skip
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def roles(found: Inspection) -> dict[str, str]:
    return {one.column.name: one.role for one in found.proposals}


def why(found: Inspection, name: str) -> str:
    return next(one.why for one in found.proposals if one.column.name == name)


def plain(n: int = 30, name: str = "a", **columns: object) -> pd.DataFrame:
    days = pd.date_range("2024-01-01", periods=n)
    return pd.DataFrame({"unique_id": name, "ds": days, "y": np.arange(n) % 7 + 0.5, **columns})


@pytest.fixture(scope="module")
def found() -> Inspection:
    return inspect(shop())


# --- roles --------------------------------------------------------------------------------------------------------


def test_every_column_gets_its_role(found):
    assert roles(found) == {
        "article": "id", "month": "time", "sales": "target", "brand": "static", "shelf": "static", "promo": "futr",
        "list_price": "futr", "market": "hist", "weather": "hist", "summer": "futr", "clock": "ignored",
        "currency": "ignored", "empty": "ignored", "cents": "ignored", "comment": "ignored",
        "article_name": "ignored", "ordered": "ignored", "split": "ignored",
    }  # fmt: skip
    assert found.schema() == Schema(
        "article", "month", "sales", stat_exog=("brand", "shelf"), hist_exog=("market", "weather"),
        futr_exog=("promo", "list_price", "summer"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("summer", "told by the month"), ("promo", "called 'promo'"), ("market", "same for all series"),
        ("weather", "change over time"), ("clock", "counts time"), ("currency", "same value everywhere"),
        ("empty", "missing"), ("cents", "sales in other words"), ("comment", "hardly ever repeats"),
        ("article_name", "another name"), ("ordered", "second time"), ("split", "train"),
    ],
)  # fmt: skip
def test_each_role_has_its_reason(found, name, reason):
    assert reason in why(found, name)
    assert reason in " ".join(found.text.split())


def test_only_what_the_data_prove_is_said_without_a_question_mark(found):
    sure = {one.column.name for one in found.proposals if one.sure}
    assert {"summer", "brand", "clock", "cents"} <= sure
    assert not sure & {"promo", "list_price", "market", "weather"}


def test_rows_to_come_tell_what_is_known_of_them():
    frame = shop()
    later = frame["month"] >= "2022-07-01"
    frame.loc[later, ["sales", "weather", "market"]] = NAN
    found = inspect(frame.drop(columns=["cents", "list_price"]).assign(tide=np.arange(len(frame)) ** 2 % 37.0))
    assert roles(found)["tide"] == "futr"
    assert "known in all" in why(found, "tide")
    assert roles(found)["weather"] == "hist"
    assert "unknown in all" in why(found, "weather")


def test_a_feature_with_holes_is_not_static_until_they_are_filled():
    frame = shop()
    frame.loc[3, "shelf"] = NAN
    assert "filled in" in why(inspect(frame), "shelf")
    assert read_panel(frame, Terms(inspect(frame).schema())).panel.static.names == ("brand",)


def test_several_columns_make_up_the_id_and_the_python_code_joins_them(tmp_path):
    one = shop().rename(columns={"article": "store"}).drop(columns=["article_name", "comment"])
    frame = pd.concat([one.assign(sku=7), one.assign(sku=8, sales=one["sales"] + 3)], ignore_index=True)
    path = tmp_path / "stores.parquet"
    frame.to_parquet(path)
    found = inspect(path)
    assert {name for name, role in roles(found).items() if role == "id"} == {"store", "sku"}
    assert len(found.survey.grids[0].ids) == 8
    code = found.recipe.preparation.replace(repr(found.recipe.path), repr(str(tmp_path / "long.parquet")))
    exec(code, {})
    again = inspect(tmp_path / "long.parquet")
    assert again.schema().id_col == found.schema().id_col
    assert set(again.survey.grids[0].ids) == set(found.survey.grids[0].ids)
    assert "A0/7" in set(found.survey.grids[0].ids)


def test_a_table_with_one_column_per_series_is_turned():
    wide = pd.DataFrame(
        {"date": pd.date_range("2024-01-01", periods=40), "north": np.arange(40.0), "south": np.arange(40.0) % 7}
    )
    found = inspect(wide)
    assert found.recipe.wide == "date"
    assert list(found.survey.grids[0].ids) == ["north", "south"]
    assert "wide_to_long(frame, time_col='date')" in found.text
    named = inspect(wide, target_col="north")
    assert roles(named) == {"date": "time", "north": "target", "south": "futr"}  # the day of the week tells it


def test_the_target_without_a_telling_name_is_what_varies_most():
    frame = plain().rename(columns={"y": "rounded"}).assign(fine=np.arange(30) ** 2 % 31 / 7)
    found = inspect(frame)
    assert found.schema().target_col == "fine"
    assert "varies most" in why(found, "fine")
    assert inspect(frame, target_col="rounded").schema().target_col == "rounded"


def test_ids_of_a_csv_file_stay_text_whatever_they_are_called(tmp_path):
    frame = pd.concat([plain(name="001"), plain(name="1e5")]).rename(columns={"unique_id": "sku", "ds": "day"})
    frame.to_csv(tmp_path / "a.csv", index=False)
    found = inspect(tmp_path / "a.csv")
    assert found.schema().id_col == "sku"
    assert list(found.survey.grids[0].ids) == ["001", "1e5"]


def test_other_kinds_of_frames_are_read_alike():
    frame = shop()
    assert roles(inspect(pl.from_pandas(frame))) == roles(inspect(frame))
    assert roles(inspect(frame.set_index(["article", "month"]))) == roles(inspect(frame))


# --- what is measured ---------------------------------------------------------------------------------------------


def test_gaps_repeats_and_unknown_ends_are_counted_by_hand():
    one = plain(20).drop(index=[5, 6, 11])
    one.loc[[0, 1, 18, 19, 8], "y"] = NAN
    two = pd.concat([plain(10, "b"), plain(10, "b")[3:5]])
    found = inspect(pd.concat([one, two], ignore_index=True))
    (grid,) = found.survey.grids
    counts = {
        name: getattr(grid, name).tolist() for name in ("lengths", "gaps", "repeats", "unknown", "leading", "trailing")
    }
    assert counts == {
        "lengths": [20, 10], "gaps": [3, 0], "repeats": [0, 2], "unknown": [5, 0], "leading": [2, 0], "trailing": [2, 0],
    }  # fmt: skip
    assert grid.freq == "D"
    assert "duplicate times" in str(found.faults[0])


@given(st.integers(0, 2**32 - 1))
def test_lengths_and_gaps_are_those_of_the_panel(seed):
    rng = np.random.default_rng(seed)
    frame = pd.concat([plain(30, name) for name in "abc"], ignore_index=True)
    kept = np.ones(90, dtype=bool)
    kept[rng.choice(90, 12, replace=False)] = False
    kept[[0, 1, 30, 31, 60, 61]] = True
    frame = frame[kept].sample(frac=1, random_state=seed % 1000)
    (grid,) = inspect(frame).survey.grids
    panel = read_panel(frame, Terms(freq="D")).panel.take(np.arange(3))
    at = panel.ids.get_indexer(grid.ids)
    assert grid.lengths.tolist() == panel.lengths[at].tolist()
    assert grid.gaps.tolist() == [
        int(np.isnan(panel.values[a:b]).sum()) for a, b in zip(panel.offsets[at], panel.offsets[at + 1], strict=True)
    ]


def test_zones_outliers_and_series_that_never_change_are_told():
    hours = pd.date_range("2024-03-20", periods=400, freq="h", tz="Europe/Berlin")
    y = np.sin(np.arange(400) / 4)
    y[200] = 1e6
    frame = pd.concat(
        [pd.DataFrame({"unique_id": "a", "ds": hours, "y": y}), pd.DataFrame({"unique_id": "b", "ds": hours, "y": 4.0})]
    )
    found = inspect(frame)
    (grid,) = found.survey.grids
    assert (grid.tz, grid.freq, grid.outliers.tolist(), grid.constant.tolist()) == (
        "Europe/Berlin",
        "h",
        [1, 0],
        [False, True],
    )
    assert not found.faults
    assert "Europe/Berlin" in found.text


def test_series_of_several_frequencies_are_measured_frequency_by_frequency():
    weekly = plain(30, "w").assign(ds=pd.date_range("2024-01-07", periods=30, freq="W-SUN"))
    monthly = plain(30, "m").assign(ds=pd.date_range("2019-01-01", periods=30, freq="MS"))
    found = inspect(pd.concat([plain(), weekly, monthly]))
    assert {grid.freq: list(grid.ids) for grid in found.survey.grids} == {"D": ["a"], "W-SUN": ["w"], "MS": ["m"]}
    assert found.recipe.freq == "each"
    assert "freq='each'" in found.recipe.python
    assert not found.faults


def test_the_frame_is_left_alone():
    frame = shop()
    frame.loc[5, "sales"] = np.inf
    before = frame.copy(deep=True)
    inspect(frame)
    pd.testing.assert_frame_equal(frame, before)


# --- faults -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in {**CASES, **TIME_CASES}.items()])
def test_whatever_comes_in_is_looked_at_and_the_doors_faults_are_listed(case):
    data = case.make()
    if not isinstance(data, (pd.DataFrame, pl.DataFrame)):
        pytest.skip("no frame")
    found = inspect(data)
    assert found.text
    if found.recipe is None:
        assert found.faults
        with pytest.raises(DataError):
            found.schema()
        return
    if found.recipe.preparation:
        return
    refused: tuple[object, ...] = ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read_panel(data, Terms(found.schema()))
        except DataError as error:
            refused = error.report
    if not found.survey.several:
        assert set(refused) <= set(found.faults)
        assert bool(refused) == bool(found.faults)


@pytest.mark.parametrize(
    ("frame", "pieces"),
    [
        (plain().drop(columns="ds").assign(Year=2024.5, month=1.5), ("pandas.to_datetime", "'Year'")),
        (plain().drop(columns="ds"), ("no column holds times", "time_col")),
        (plain().drop(columns="y"), ("no column of numbers", "target_col")),
        (plain().drop(columns="ds").set_index(pd.DatetimeIndex(plain()["ds"].to_numpy())), ("rename_axis('ds')",)),
        (pd.DataFrame({"id": ["a"], **{f"V{n}": [1.0] for n in range(9)}}), ("turn the table",)),
        (plain(0), ("no rows",)),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_a_fault_with_a_way_out(frame, pieces):
    found = inspect(frame)
    for piece in pieces:
        assert piece in " ".join(map(str, found.faults))
    assert found.text


def test_a_role_asked_for_that_is_not_there_is_a_fault():
    assert "no such column" in str(inspect(plain(), target_col="sales").faults[0])


def test_no_frame_and_no_file_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="not a data frame"):
        inspect(3)
    with pytest.raises(DataError, match="does not exist"):
        inspect(tmp_path / "none.csv")


# --- going on -----------------------------------------------------------------------------------------------------

TINY = ["model=lstm", "model.hidden_size=4", "data.input_size=12", "trainer.max_steps=2", "trainer.batch_size=8",
        "trainer.cycles=1", "trainer.validations=1", "progress=false"]  # fmt: skip


@pytest.fixture
def sales(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with every role, under names that Hydra would stumble over."""
    monkeypatch.chdir(tmp_path)
    frame = shop().rename(columns={"promo": "promo planned, 'x'", "brand": "true", "weather": "2024"})
    frame.to_parquet("my sales.parquet")
    return Path("my sales.parquet")


def check(model: Path) -> None:
    """The saved model has the roles that were proposed."""
    schema = Forecaster.load(model).schema
    assert (schema.id_col, schema.time_col, schema.target_col) == ("article", "month", "sales")
    assert schema.stat_exog == ("true", "shelf")
    assert schema.futr_exog == ("promo planned, 'x'", "list_price", "summer")
    assert schema.hist_exog == ("market", "2024")


def test_the_yaml_that_is_written_can_be_fitted_from(sales, capsys):
    assert main(["data", "inspect", str(sales), "output=settings/data/sales.yaml"]) == 0
    assert "defaults:" in capsys.readouterr().out
    assert main(["fit", "--config-dir", "settings", "data=sales", "output=model", *TINY]) == 0
    check(Path("model"))


def test_the_command_line_that_is_printed_works_as_it_stands(sales):
    command = inspect(sales).recipe.command
    assert command in inspect(sales).text
    name, *words = shlex.split(command)
    assert name == "forecast"
    assert main([*words, *TINY]) == 0
    check(Path("MODEL"))


def test_the_python_that_is_printed_makes_the_same_schema(sales):
    found = inspect(sales)
    namespace: dict[str, object] = {}
    exec(found.recipe.python.split("fc.fit")[0], namespace)
    assert namespace["fc"].schema == found.schema()
    assert (namespace["fc"].h, namespace["fc"].freq) == (found.recipe.h, "MS")


def test_a_data_set_is_inspected_by_its_name(capsys):
    assert main(["data", "inspect", "airpassengers"]) == 0
    out = capsys.readouterr().out
    assert "forecast fit data=airpassengers" in out
    assert "load_dataset('airpassengers')" in out
    assert inspect(load_dataset("airpassengers")).recipe.freq == "MS"


def test_faults_make_the_exit_code_and_wrong_settings_another(tmp_path, capsys):
    frame = plain()
    frame.loc[3, "y"] = np.inf
    frame.to_parquet(tmp_path / "bad.parquet")
    assert main(["data", "inspect", str(tmp_path / "bad.parquet")]) == 4
    assert "the value is infinite in series 'a' at row 3" in " ".join(capsys.readouterr().out.split())
    assert main(["data", "inspect", "airpassengers", "h=3"]) == 2
    assert "h=3" in capsys.readouterr().err
