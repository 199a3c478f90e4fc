"""Every way in which rows reach us broken, odd or merely large, by the numbers of the catalogue of inputs: it works, works
with a warning, or is refused with column, series, rows and remedy. Those about time are in test_time_inputs.py."""

from __future__ import annotations

import ast
import copy
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from forecast import DataError, Forecaster, ForecastError, ForecastWarning, Training
from forecast.backtest import backtest
from forecast.batch.form import Form
from forecast.batch.sinks.rows import prepared
from forecast.forecasts import wanted
from forecast.ingest.door import to_panel
from forecast.model import Task
from forecast.models import LSTM, SeasonalNaive
from forecast.panel.split import rolling_cutoffs
from forecast.transformed import Transformed

NAN, INF = float("nan"), float("inf")
H = 2
DAYS = pd.date_range("2024-03-01", periods=40)
QUICK = Training(max_steps=2, batch_size=8, cycles=1, validations=1)


def rows(n: int = 30, name: Any = "A7", **columns: Any) -> pd.DataFrame:
    """One daily series with a weekly season."""
    y = 10.0 + np.arange(n) % 7 + 0.1 * np.arange(n)
    return pd.DataFrame({"unique_id": [name] * n, "ds": pd.date_range("2024-03-01", periods=n), "y": y, **columns})


def with_values(*cells: tuple[int, Any], n: int = 30, name: Any = "A7") -> pd.DataFrame:
    """:func:`rows` with some values of the target replaced."""
    frame = rows(n, name)
    for row, value in cells:
        frame.loc[row, "y"] = value
    return frame


def together(*frames: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(frames, ignore_index=True)


def forecaster(model: Any = "naive", **options: Any) -> Forecaster:
    return Forecaster(model, **{"h": H, "progress": False, "training": QUICK, **options})


def naive(frame: Any, **options: Any) -> pd.DataFrame:
    """Forecasts of the naive model, frame to frame."""
    return forecaster(**options).fit(frame).predict()


def net(frame: Any, **options: Any) -> pd.DataFrame:
    """Forecasts of a net hardly trained, called ``m``."""
    inner = {key: options.pop(key) for key in ("static_df",) if key in options}
    return forecaster({"m": LSTM(input_size=12, hidden_size=4)}, **options).fit(frame, **inner).predict()


@dataclass(frozen=True)
class Case:
    """An input and what must come of it.

    Attributes:
        number: in the catalogue.
        make: the data.
        call: what is done with them; gives forecasts.
        says: pieces of the warning, where it works with one; ``None`` where it works without a word.
        refused: pieces of the message, where it does not work.
        check: what must hold of the forecasts.
    """

    number: int
    make: Callable[[], Any]
    call: Callable[[Any], Any] = naive
    says: tuple[str, ...] | None = None
    refused: tuple[str, ...] = ()
    check: Callable[[Any], bool] = lambda out: True


def works(number: int, make: Callable[[], Any], call: Any = naive, check: Any = lambda out: True) -> Case:
    return Case(number, make, call, check=check)


def warned(number: int, make: Callable[[], Any], *says: str, call: Any = naive, check: Any = lambda out: True) -> Case:
    return Case(number, make, call, says, check=check)


def refused(number: int, make: Callable[[], Any], *pieces: str, call: Any = naive) -> Case:
    return Case(number, make, call, refused=pieces)


def like(plain: Callable[[], pd.DataFrame]) -> Callable[[pd.DataFrame], bool]:
    """Whether the forecasts are those of ``plain()``, series by series."""

    def check(out: pd.DataFrame) -> bool:
        order = ["unique_id", "ds"]
        one, two = (frame.sort_values(order).reset_index(drop=True) for frame in (out, naive(plain())))
        return bool(np.array_equal(one["naive"], two["naive"]) and (one["ds"] == two["ds"]).all())

    return check


def ids_are(*names: Any) -> Callable[[pd.DataFrame], bool]:
    return lambda out: out["unique_id"].drop_duplicates().tolist() == list(names)


def first_step(stamp: str) -> Callable[[pd.DataFrame], bool]:
    return lambda out: str(out["ds"].iloc[0])[:10] == stamp


def near(low: float, high: float, column: str = "m") -> Callable[[pd.DataFrame], bool]:
    return lambda out: bool(out[column].between(low, high).all())


def two() -> pd.DataFrame:
    return together(rows(), rows(name="B8", y=np.arange(30.0)))


def through_csv(frame: pd.DataFrame) -> pd.DataFrame:
    """Forecasts of the frame after a stay in a CSV file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        frame.to_csv(path, index=False)
        return naive(path)


def saved(frame: pd.DataFrame) -> pd.DataFrame:
    """Forecasts of a model that was saved and loaded."""
    with tempfile.TemporaryDirectory() as folder:
        return Forecaster.load(forecaster().fit(frame).save(Path(folder) / "model")).predict()


def into_csv_sink(frame: pd.DataFrame) -> None:
    """Published as CSV by a job's sink."""
    out = naive(frame)
    out = out.rename(columns={"naive": "mean"}).assign(
        cutoff=DAYS[29], step=[1, 2], model="naive", source="naive", reason=""
    )
    prepared(Form.of(pd.Index(out["unique_id"]), pd.DatetimeIndex(out["ds"]), ["mean"]), out)


def predicting(new: Callable[[], pd.DataFrame], model: Any = "naive", **options: Any) -> Callable[[Any], pd.DataFrame]:
    """Fitted on the data, forecasts of ``new()``."""
    return lambda frame: forecaster(model, **options).fit(frame).predict(new())


def updating(new: Callable[[], pd.DataFrame], **options: Any) -> Callable[[Any], pd.DataFrame]:
    return lambda frame: forecaster(**options).fit(frame).update(new()).predict()


def changed_after_fitting(frame: pd.DataFrame) -> pd.DataFrame:
    """Another thread writes to the frame once it was read."""
    fitted = forecaster().fit(frame)
    before = fitted.predict()
    kept = frame.copy(deep=True)
    frame.loc[:, "y"] = -1.0
    frame.loc[:, "unique_id"] = "gone"
    frame.loc[:, "ds"] = pd.Timestamp("1999-01-01")
    after = fitted.predict()
    for column in frame:
        frame[column] = kept[column]
    pd.testing.assert_frame_equal(before, after)
    return after


def with_static(table: Callable[[], pd.DataFrame], model: Any = None, **options: Any) -> Callable[[Any], pd.DataFrame]:
    return lambda frame: net(frame, static_df=table(), **options)


def static(*names: str, **columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"unique_id": list(names), **columns})


def unseen_level(frame: pd.DataFrame) -> pd.DataFrame:
    fitted = forecaster({"m": LSTM(input_size=12, hidden_size=4)}).fit(
        frame, static_df=static("A7", "B8", c=["x", "y"])
    )
    return fitted.predict(rows(name="N1"), static_df=static("N1", c=["z"]))


def levels_in_another_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Labels count, not their codes: the same forecasts whatever the order of the categories."""
    fitted = forecaster({"m": LSTM(input_size=12, hidden_size=4)}).fit(
        frame, static_df=static("A7", "B8", c=["x", "y"])
    )
    tables = [
        static("A7", "B8", c=pd.Categorical(["x", "y"], categories=order))
        for order in (["x", "y"], ["y", "unused", "x"])
    ]
    one, other = (fitted.predict(static_df=table) for table in tables)
    pd.testing.assert_frame_equal(one, other)
    return one


def promotions(frame: pd.DataFrame, change: Callable[[pd.DataFrame], pd.DataFrame] = lambda f: f) -> pd.DataFrame:
    """Forecasts with a covariate known into the future, its table changed."""
    fitted = forecaster({"m": LSTM(input_size=12, hidden_size=4)}, futr_exog=["promo"]).fit(frame)
    return fitted.predict(futr_df=change(fitted.make_future_frame().assign(promo=1.0)))


def future(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: promotions(frame, change)


def promoted() -> pd.DataFrame:
    return two().assign(promo=0.0)


def seasons_too_long(frame: pd.DataFrame) -> pd.DataFrame:
    """A season longer than the series: the naive forecast, and the reason is stated."""
    panel = to_panel(frame)
    task = Task(H, 50, progress=False)
    result = backtest({"naive": SeasonalNaive()}, panel, task, rolling_cutoffs(panel, H), wanted())
    assert any("season" in reason for reason in result.reasons["naive"]), result.reasons
    return result.frame


def arrow_backed() -> pd.DataFrame:
    return rows().convert_dtypes(dtype_backend="pyarrow")


def read_only() -> pd.DataFrame:
    frame = pd.DataFrame({"unique_id": "A7", "ds": DAYS, "y": np.broadcast_to(np.float64(3), len(DAYS))})
    for column in ("ds", "y"):
        assert np.shares_memory(frame[column].to_numpy(), frame[column].to_numpy())
        frame[column].to_numpy().flags.writeable = False
    return frame


def on_disk() -> pd.DataFrame:
    path = Path(tempfile.mkdtemp()) / "y.npy"
    np.save(path, np.arange(40.0))
    return pd.DataFrame({"unique_id": "A7", "ds": DAYS, "y": np.load(path, mmap_mode="r")}, copy=False)


def sparse(values: Any) -> Any:
    return pd.arrays.SparseArray(values)


SPIKE = with_values((20, 1e7))
HOSTILE = "<b>x</b>\nERROR root: all gone\x1b[2J" + "A" * 5000

CASES = {
    # rows, times, order
    "a time twice with one value": refused(1, lambda: together(rows(), rows(1)), "ds: duplicate times", "'A7' at rows 0, 30", "duplicates='mean'"),
    "a time twice with one value, merged when asked": works(1, lambda: together(rows(), rows(1)), lambda f: naive(f, duplicates="mean"), like(rows)),
    "a time twice with two values": refused(2, lambda: together(rows(), rows(1, y=[99.0])), "ds: duplicate times", "2024-03-01", "rows 0, 30"),
    "rows shuffled": works(3, lambda: two().sample(frac=1, random_state=1), check=like(two)),
    "times descending": works(4, lambda: two()[::-1], check=like(two)),
    "series interleaved": works(5, lambda: two().sort_values(["ds", "unique_id"]), check=like(two)),
    # unknown values
    "an unknown value inside": works(32, lambda: with_values((5, NAN)), net),
    "an unknown value inside, refused when asked": refused(32, lambda: with_values((5, NAN)), "y: missing values", "'A7' at row 5", "missing='mask'", call=lambda f: naive(f, missing="raise")),
    "unknown values at the end": warned(33, lambda: with_values((28, NAN), (29, NAN)), "the last values of 1 series are unknown: 'A7'", call=net, check=first_step("2024-03-31")),
    "unknown values at the start": warned(34, lambda: with_values((0, NAN), (1, NAN)), "2 unknown values before the first known one of 1 series left out: 'A7'"),
    "a series of unknown values": refused(35, lambda: together(rows(), rows(name="E5", y=NAN)), "y: no known value", "'E5' at rows 30", "on_bad_series='skip'"),
    "a series of unknown values, left out": warned(35, lambda: together(rows(), rows(name="E5", y=NAN)), "left out", "'E5'", call=lambda f: net(f, on_bad_series="skip"), check=ids_are("A7")),
    "a series of unknown values, kept": warned(35, lambda: together(rows(), rows(name="E5", y=NAN)), "naive forecast", "'E5'", call=lambda f: net(f, on_bad_series="fallback").dropna(), check=ids_are("A7")),
    "nothing but unknown values": refused(35, lambda: rows(y=NAN), "y: no known value", "'A7'", call=lambda f: naive(f, on_bad_series="fallback")),
    "infinite values": refused(36, lambda: with_values((3, INF), (7, -INF)), "y: the value is infinite", "'A7' at rows 3, 7", "NaN when unknown"),
    "infinity in a covariate": refused(37, lambda: rows(price=np.r_[INF, np.ones(29)]), "price", "infinite", "'A7' at row 0", call=lambda f: net(f, hist_exog=["price"])),
    "an unknown covariate": works(37, lambda: rows(price=np.r_[NAN, np.arange(29.0)]), lambda f: net(f, hist_exog=["price"])),
    "a constant": works(38, lambda: rows(y=7.0), net, near(7 - 1e-4, 7 + 1e-4)),
    "all zeros": works(39, lambda: rows(y=0.0), net, near(-1e-6, 1e-6)),
    "demand now and then": works(39, lambda: rows(y=np.where(np.arange(30) % 9 == 0, 5.0, 0.0)), net),
    # length
    "a series of one row": warned(40, lambda: together(rows(), rows(1, "S1")), "1 of 2 series have fewer rows than the input_size=12", "'S1'", call=net, check=ids_are("A7", "S1")),
    "one row and nothing else": refused(40, lambda: rows(1), "ds: no regular frequency", "one row only", "freq="),
    "a series shorter than the window": warned(41, lambda: together(rows(), rows(5, "S5")), "fewer rows than the input_size=12", "padded", "'S5'", call=net),
    "a series shorter than the horizon": warned(42, lambda: together(rows(), rows(4, "S4")), "padded", "'S4'", call=lambda f: net(f, h=6)),
    "a series too short to be tested": warned(42, lambda: together(rows(), rows(4, "S4")), "1 of 2 series have no known value before some cutoff", "'S4'", call=lambda f: forecaster(h=6).cross_validation(f)),
    "no series long enough to be tested": refused(42, lambda: rows(4), "y: no series has a known value before the first cutoff", "longest has 4 rows", "smaller h", call=lambda f: forecaster(h=6).cross_validation(f)),
    "every series too short": refused(43, lambda: together(rows(3), rows(2, "S2")), "y: every series is too short", "needs at least", "'A7') has 3", "'naive'", call=net),
    "no rows": refused(44, lambda: rows(0), "it has no rows", "at least one row"),
    "no columns": refused(44, pd.DataFrame, "it has no rows"),
    # ids
    "no id column": works(45, lambda: rows().drop(columns="unique_id"), check=ids_are("series")),
    "a missing id": refused(46, lambda: rows(unique_id=["A7"] * 29 + [None]), "unique_id: the id is missing", "row 29", "Give these rows an id"),
    "a missing id is no bad series": refused(46, lambda: rows(unique_id=["A7"] * 29 + [None]), "unique_id: the id is missing", "row 29", call=lambda f: naive(f, on_bad_series="skip")),
    "whole numbers as ids, then text": refused(47, lambda: rows(name=1), "unique_id: ids were integer when fitting and are string now", "Convert", call=predicting(lambda: rows(name="1"))),
    "text as ids, then whole numbers": refused(47, lambda: rows(name="1"), "unique_id: ids were string when fitting and are integer now", call=updating(lambda: rows(1, 1, ds=pd.Timestamp("2024-03-31")))),
    "ids of unused categories": works(48, lambda: rows(unique_id=pd.Categorical(["A7"] * 30, categories=["none", "A7"])), check=ids_are("A7")),
    "large whole numbers as ids": works(49, lambda: together(rows(name=100100037), rows(name=100100038)), net, ids_are(100100037, 100100038)),
    "ids beyond the exact floats": works(49, lambda: rows(name=2**53 + 1), saved, ids_are(2**53 + 1)),
    "ids that look the same": warned(50, lambda: together(rows(name="caf\u00e9"), rows(name="cafe\u0301")), "'caf\\xe9' and 'cafe\\u0301'", "kept apart", "normalize", check=ids_are("caf\u00e9", "cafe\u0301")),
    "ids of other alphabets": works(50, lambda: together(rows(name="価格"), rows(name="🙂")), check=ids_are("価格", "🙂")),
    "a null character in an id": refused(51, lambda: rows(name="a\0b"), "unique_id", "'a\\x00b'", call=into_csv_sink),
    "a null character in an id elsewhere": works(51, lambda: rows(name="a\0b"), saved, ids_are("a\0b")),
    "ids that look like paths": works(52, lambda: together(*(rows(name=name) for name in ("../x", "/etc/x", "a\\b", "CON", "x" * 300))), saved, ids_are("../x", "/etc/x", "a\\b", "CON", "x" * 300)),
    "an id that looks like SQL": works(53, lambda: rows(name="'; DROP TABLE x;--"), saved, ids_are("'; DROP TABLE x;--")),
    "ids that look like numbers or nothing": works(54, lambda: together(*(rows(name=name) for name in ("NA", "null", "001", "1e5", "nan"))), through_csv, ids_are("NA", "null", "001", "1e5", "nan")),
    "ids that look like formulas": works(55, lambda: together(*(rows(name=name) for name in ("=cmd()", "+1", "-1", "@x"))), through_csv, ids_are("=cmd()", "+1", "-1", "@x")),
    "ids with commas, quotes and line ends": works(56, lambda: together(*(rows(name=name) for name in ("a,b", 'a"b', "a\nb"))), through_csv, ids_are("a,b", 'a"b', "a\nb")),
    "many ids": works(57, lambda: pd.DataFrame({"unique_id": np.repeat(np.arange(50_000).astype(str), 5), "ds": np.tile(DAYS[:5], 50_000), "y": np.arange(250_000.0)}), check=lambda out: len(out) == 100_000),
    "very unequal lengths": works(58, lambda: together(rows(10), rows(10_000, "L9", ds=pd.date_range("1999-01-01", periods=10_000))), check=ids_are("A7", "L9")),
    "new series when forecasting": works(59, rows, predicting(lambda: rows(name="N1"), LSTM(input_size=12, hidden_size=4)), ids_are("N1")),
    "fewer series when forecasting": works(60, two, predicting(lambda: rows(name="B8")), ids_are("B8")),
    "little history when forecasting": warned(61, rows, "fewer rows than the input_size=12", "'A7'", call=predicting(lambda: rows(3), LSTM(input_size=12, hidden_size=4))),
    # covariates
    "a level that training did not see": warned(62, two, "c: 'z'", "unknown", call=unseen_level),
    "categories in another order": works(63, two, levels_in_another_order),
    "future covariates": works(64, promoted, promotions),
    "no future covariates": refused(64, promoted, "futr_df", "'promo'", "make_future_frame", call=lambda f: forecaster(LSTM(input_size=12, hidden_size=4), futr_exog=["promo"]).fit(f).predict()),
    "a missing future row": refused(64, promoted, "futr_df", "'B8'", "2024-04-01", call=future(lambda f: f.drop(index=3))),
    "a future row twice": refused(65, promoted, "futr_df", "'A7'", "rows 0, 4", call=future(lambda f: together(f, f[:1]))),
    "future rows of the past": warned(66, promoted, "futr_df", "ignored", call=future(lambda f: together(f, rows(3, ds=DAYS[27:30])[["unique_id", "ds"]].assign(promo=5.0)))),
    "future rows off the grid": refused(67, promoted, "futr_df", "off the grid", "'A7'", call=future(lambda f: f.assign(ds=f["ds"] + pd.Timedelta("3h")))),
    "future rows that begin late": refused(67, promoted, "futr_df", "'A7'", "2024-03-31", call=future(lambda f: f.assign(ds=f["ds"] + pd.Timedelta("1D")))),
    "more future rows than needed": warned(68, promoted, "futr_df", "ignored", call=future(lambda f: together(f, rows(1, "X0", ds=DAYS[31:32])[["unique_id", "ds"]].assign(promo=5.0)))),
    # columns
    "a column more": works(69, lambda: rows(colour="red"), check=like(rows)),
    "a covariate that is not there": refused(70, lambda: rows(price=1.0), "prise", "'price'", "Did you mean", call=lambda f: net(f, hist_exog=["prise"])),
    "a misspelt target": refused(70, lambda: rows().rename(columns={"y": "Y"}), "y: no such column", "target_col"),
    "columns in another order": works(71, lambda: rows()[["y", "unique_id", "ds"]], check=like(rows)),
    "a column twice": refused(72, lambda: pd.concat([rows(), rows()[["y"]]], axis=1), "y: 2 columns have this name", "Rename or drop"),
    "a column without a role twice": works(72, lambda: pd.concat([rows(c=1), rows(c=2)[["c"]]], axis=1), check=like(rows)),
    "odd names of columns": works(73, lambda: rows(**{"a b": 1, "a.b": 1, "🙂": 1, "x" * 200: 1}).assign().rename(columns={"a b": None, "a.b": 3}), check=like(rows)),
    "a target with an odd name": works(73, lambda: rows().rename(columns={"y": "sales. 🙂 (net)"}), lambda f: naive(f, target_col="sales. 🙂 (net)")),
    "a covariate with an odd name": works(73, lambda: rows(**{"a.b 🙂": np.arange(30.0)}), lambda f: net(f, hist_exog=["a.b 🙂"])),
    "columns called like ours": works(74, lambda: rows(yhat=1, index=2, naive=3, cutoff=4, __target__=5, **{"naive-lo-80": 6}), check=like(rows)),
    "a model called like a column": refused(74, rows, "cannot be called 'y'", call=lambda f: forecaster({"y": "naive"}).fit(f)),
    "a target called cutoff": refused(74, lambda: rows().rename(columns={"y": "naive"}), "cannot be called 'naive'", call=lambda f: naive(f, target_col="naive")),
    "id and time in the index": works(75, lambda: two().set_index(["unique_id", "ds"]), check=like(two)),
    "time in the index": works(75, lambda: two().set_index("ds"), check=like(two)),
    "an index that repeats itself": works(76, lambda: two().set_index(np.zeros(60, dtype=int)), check=like(two)),
    "an index in no order": works(76, lambda: two().set_index(np.random.default_rng(0).permutation(60)), check=like(two)),
    # the target's type
    "truth as target": warned(77, lambda: rows(y=np.arange(30) % 2 == 0), "y: true and false have been read as 1 and 0"),
    "small whole numbers": works(78, lambda: rows(y=np.where(np.arange(30) % 2, 127, -128).astype(np.int8)), net, near(-400, 400)),
    "unsigned whole numbers": works(78, lambda: rows(y=np.full(30, 255, dtype=np.uint8)), net, near(254.9, 255.1)),
    "decimals": warned(79, lambda: rows(y=[Decimal(n) for n in range(30)]), "y: numbers held as objects"),
    "objects that are no numbers": refused(79, lambda: rows(y=np.array([*range(29), "n/a"], dtype=object)), "y: not numbers: 'n/a'", "'A7' at row 29", "to_numeric"),
    "numbers as text": refused(80, lambda: rows(y=["1,234"] * 30), "y: not numbers: '1,234'", "'A7' at rows 0, 1", "thousands separators"),
    "nullable whole numbers": works(81, lambda: rows(y=pd.array([1, None, *range(28)], dtype="Int64")), net),
    "nullable floats": works(81, lambda: rows(y=pd.array([1.5, None, *range(28)], dtype="Float64")), net),
    "columns of Arrow": works(82, arrow_backed, check=like(rows)),
    "polars": works(83, lambda: pl.from_pandas(rows()), check=like(rows)),
    "an Arrow table": works(83, lambda: pa.Table.from_pandas(rows()), check=like(rows)),
    "no frame at all": refused(83, lambda: [1, 2], "list is not a data frame", "polars"),
    "complex numbers": refused(84, lambda: rows(y=np.arange(30) * 1j), "y: the target has dtype complex128", "float"),
    "dates as target": refused(84, lambda: rows(y=DAYS[:30]), "y: the target has dtype datetime64"),
    "categories as target": refused(84, lambda: rows(y=pd.Categorical(["1"] * 30)), "y: the target has dtype category"),
    # size
    "a level of 1e12 with noise of 1": works(85, lambda: rows(y=1e12 + np.arange(30) % 7), net, near(1e12 - 10, 1e12 + 20)),
    "values of 1e-12": works(86, lambda: rows(y=(10 + np.arange(30) % 7) * 1e-12), net, near(5e-12, 25e-12)),
    "denormal values": works(86, lambda: rows(y=(10 + np.arange(30) % 7) * 1e-310), net, near(0, 1e-300)),
    "values of 1e39": works(87, lambda: rows(y=(10 + np.arange(30) % 7) * 1e39), net, near(5e39, 25e39)),
    "a number beyond the floats": refused(87, lambda: rows(y=np.array([10**400, *range(29)], dtype=object)), "y: not numbers", "'A7' at row 0"),
    "scales far apart": works(88, lambda: together(rows(name="S0", y=rows()["y"] * 1e-6), rows(name="L0", y=rows()["y"] * 1e9)), net, lambda out: bool(out["m"][:H].between(5e-6, 25e-6).all() and out["m"][H:].between(5e9, 25e9).all())),
    "the logarithm of nothing": refused(89, lambda: with_values((4, 0.0), (9, -3.0)), "y: ", "'A7'", "asinh", call=lambda f: forecaster({"m": Transformed("naive", transforms=("boxcox",))}).fit(f)),
    # arguments
    **{f"a horizon of {h!r}": refused(90, rows, "h=", "whole number", call=lambda f, h=h: forecaster(h=h).fit(f)) for h in (0, -1, 1.5, True, "7", None, 10**12)},
    "a season longer than the series": works(91, rows, seasons_too_long),
    **{f"a season of {m!r}": refused(91, rows, "season_length=", "whole number", call=lambda f, m=m: naive(f, season_length=m)) for m in (0, -7, 1.5)},
    **{f"the quantile {q!r}": refused(92, rows, "quantiles=", "strictly between 0 and 1", call=lambda f, q=q: forecaster().fit(f).predict(quantiles=[0.5, q])) for q in (0, 1, 1.2, NAN, "0.5", True)},
    "quantiles in no order, one twice": works(92, rows, lambda f: forecaster().fit(f).predict(quantiles=[0.9, 0.1, 0.9]), lambda out: list(out)[3:] == ["naive-q-0.1", "naive-q-0.9"]),
    "a static feature that varies": refused(93, lambda: two().assign(size=np.r_[np.ones(29), 2.0, np.ones(30)]), "size: the static feature varies", "'A7' at row 29", "stat_exog", call=lambda f: net(f, stat_exog=["size"])),
    "two rows of static features": refused(93, two, "static_df", "several rows", "'A7' at rows 0, 2", call=with_static(lambda: static("A7", "B8", "A7", c=[1, 2, 3]))),
    "no row of static features": refused(94, two, "static_df: no row of static features", "'B8'", "Add its row", call=with_static(lambda: static("A7", c=[1.0]))),
    "a row of static features too many": warned(94, two, "static_df has rows of 1 series that the data do not have", "'C9'", call=with_static(lambda: static("A7", "B8", "C9", c=[1, 2, 3.0]))),
    **{f"a weight of {value!r} on the latest windows": refused(95, rows, "recency", call=lambda f, value=value: net(f, training=Training(recency=value))) for value in (-1.0, 0.0, NAN)},
    "a weighting that does not exist": refused(95, rows, "sampling", "windows", "series", call=lambda f: net(f, training=Training(sampling="rows"))),
    # memory and messages
    "read-only arrays": works(96, read_only),
    "an array on disk": works(96, on_disk),
    "a view of every second row": works(96, lambda: together(rows(), rows(name="B8")).iloc[::2]),
    "a frame that changes after it was read": works(97, rows, changed_after_fitting),
    "a hostile id in a message": refused(98, lambda: rows(name=HOSTILE, y=INF), "y: the value is infinite"),
    "a hostile cell in a message": refused(98, lambda: rows(y=[HOSTILE] * 30), "y: not numbers"),
    "sparse numbers": refused(99, lambda: rows(y=sparse(np.arange(30.0))), "y: the target has dtype Sparse", "float"),
    "intervals": refused(99, lambda: rows(y=pd.interval_range(0, 30)), "y: ", "'A7'", "to_numeric"),
    "lists in cells": refused(99, lambda: rows(y=[[1]] * 30), "y: not numbers: [1]", "'A7'"),
    "a value a million times the others": warned(100, SPIKE.copy, "1 value of 1 series lies absurdly far", "'A7' at 2024-03-21", "outliers='clip'", call=net),
    "a value a million times the others, clipped": warned(100, SPIKE.copy, "'A7' at 2024-03-21", "taken back", call=lambda f: net(f, outliers="clip"), check=near(0, 40)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_input_of_the_catalogue_comes_to_what_it_must(name):
    case = CASES[name]
    data = case.make()
    before = data.copy(deep=True) if isinstance(data, pd.DataFrame) else copy.copy(data)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if case.refused:
            with pytest.raises(ForecastError) as error:
                case.call(data)
            said = str(error.value)
            assert all(piece in said for piece in case.refused), said
            assert "\n  1. " in said or "\n" not in said
            assert "\x1b" not in said and len(said) < 2000
            if isinstance(error.value, DataError):
                assert all(fault.remedy and fault.column for fault in error.value.report)
        else:
            out = case.call(data)
            points = out.drop(columns=["unique_id", "ds", "cutoff"], errors="ignore").to_numpy(dtype=np.float64)
            assert len(out) and np.isfinite(points).all()
            assert case.check(out), out
    ours = [str(warning.message) for warning in caught if issubclass(warning.category, ForecastWarning)]
    assert len(ours) == len(caught), [str(warning.message) for warning in caught]
    if case.says is None:
        assert case.refused or not ours, ours
    else:
        assert all(any(piece in text for text in ours) for piece in case.says), ours
    if isinstance(data, pd.DataFrame):
        pd.testing.assert_frame_equal(data, before)


def test_unused_columns_are_listed_once_without_disturbing_anybody(caplog):
    with caplog.at_level("INFO", logger="forecast"):
        forecaster().fit(rows(colour="red", size=3)).predict()
    assert [record.getMessage() for record in caplog.records] == [
        "columns without a role are ignored: 'colour', 'size'"
    ]


def test_every_number_of_the_catalogue_has_a_row():
    tree = ast.parse((Path(__file__).parent / "test_time_inputs.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    numbers = {
        call.args[0].value
        for call in calls
        if call.func.id in ("works", "refused", "Case") and call.args and isinstance(call.args[0], ast.Constant)
    }
    assert numbers | {case.number for case in CASES.values()} >= set(range(1, 101))
