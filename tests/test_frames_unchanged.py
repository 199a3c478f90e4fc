"""Nothing that is given to a public call is changed by it, whatever it is made of and whether the call succeeds or fails."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecast import Forecaster, ForecastError, ForecastWarning, Schema, Training, evaluate, wide_to_long
from forecast.batch.demands import SideTables
from forecast.batch.hashing import data_hash
from forecast.batch.quarantine import inspect_rows
from forecast.ingest.door import to_panel
from forecast.ingest.terms import Terms
from forecast.models import LSTM
from forecast.report.html import Report, render

H, ROWS = 2, 30
QUICK = Training(max_steps=2, batch_size=8, cycles=1, validations=1)
Frames = dict[str, pd.DataFrame]


def given_frames() -> Frames:
    """Everything that a call may be given: history, rows after it, the future, static features, a wide table."""
    stamps = pd.date_range("2024-03-01", periods=ROWS + 3 + H)
    y = 10.0 + np.arange(len(stamps)) % 7
    long = pd.concat(
        [
            pd.DataFrame({"unique_id": name, "ds": stamps, "y": y * (1 + place), "price": y[::-1], "promo": y % 2, "size": place})
            for place, name in enumerate(("a", "b"))
        ],
        ignore_index=True,
    )  # fmt: skip
    when = long["ds"]
    ahead = (when >= stamps[ROWS]) & (when < stamps[ROWS + H])
    df = long[when < stamps[ROWS]].reset_index(drop=True)
    return {
        "df": df,
        "cv": df[df["ds"] >= stamps[ROWS - H]][["unique_id", "ds", "y"]].assign(cutoff=stamps[ROWS - H - 1], m=11.0),
        "new": long[(when >= stamps[ROWS]) & (when < stamps[ROWS + 3])].reset_index(drop=True),
        "futr_df": long[ahead][["unique_id", "ds", "promo"]].reset_index(drop=True),
        "static_df": pd.DataFrame({"unique_id": ["a", "b"], "kind": ["x", "y"]}),
        "wide": pd.DataFrame({"ds": stamps[:ROWS], "a": y[:ROWS], "b": 2 * y[:ROWS]}),
    }


def read_only(frame: pd.DataFrame) -> pd.DataFrame:
    columns = {}
    for name in frame.columns:
        values = frame[name].to_numpy().copy()
        values.flags.writeable = False
        columns[name] = values
    return pd.DataFrame(columns, copy=False)


FORMS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "plain": lambda f: f,
    "an odd index": lambda f: f.set_index(pd.Index(np.arange(len(f))[::-1] % 5, name="odd")),
    "shuffled rows": lambda f: f.sample(frac=1.0, random_state=4),
    "ids as categories": lambda f: (
        f.assign(unique_id=pd.Categorical(f["unique_id"], categories=["c", "b", "a"])) if "unique_id" in f else f
    ),
    "objects": lambda f: f.astype(object),
    "columns of Arrow": lambda f: f.convert_dtypes(dtype_backend="pyarrow"),
    "read-only arrays": read_only,
    "nullable columns": lambda f: f.convert_dtypes(),
    "id and time in the index": lambda f: f.set_index([name for name in ("unique_id", "ds") if name in f]),
}


def spoilt(frame: pd.DataFrame) -> pd.DataFrame:
    """The same with a column of numbers that nobody can use and a row twice."""
    column = next(name for name in ("y", "promo", "kind", "a") if name in frame)
    frame = pd.concat([frame, frame.iloc[:1]])
    return frame.assign(**{column: ["n/a" if column == "a" else complex(1, 2)] * len(frame)})


def deep(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[Any]]:
    """What a frame is, down to its cells, and what it is made of."""
    return frame.copy(deep=True), [*frame.dtypes, *frame.columns, dict(frame.attrs), list(frame.index.names)]


def unchanged(frame: pd.DataFrame, before: tuple[pd.DataFrame, list[Any]]) -> None:
    pd.testing.assert_frame_equal(frame, before[0], check_exact=True, check_freq=True)
    assert [*frame.dtypes, *frame.columns, dict(frame.attrs), list(frame.index.names)] == before[1]


def fresh(model: Any = "naive", **options: Any) -> Forecaster:
    return Forecaster({"m": model}, h=H, freq="D", training=QUICK, progress=False, **options)


@pytest.fixture(scope="module")
def fitted() -> tuple[Forecaster, Forecaster]:
    """A naive one and a net that reads covariates of every role."""
    frames = given_frames()
    net = fresh(LSTM(input_size=12, hidden_size=4), hist_exog=["price"], futr_exog=["promo"])
    return fresh().fit(frames["df"]), net.fit(frames["df"], static_df=frames["static_df"])


def net_update(f: Frames) -> Any:
    net = fresh(LSTM(input_size=12, hidden_size=4), hist_exog=["price"], futr_exog=["promo"], missing="ffill")
    plain = given_frames()
    return net.fit(plain["df"], static_df=plain["static_df"]).update(f["new"], static_df=f["static_df"])


def report(f: Frames) -> str:
    return render(Report(title="t", cv=f["cv"], history=to_panel(given_frames()["df"]), season_length=7))


CALLS: dict[str, Callable[[Frames, tuple[Forecaster, Forecaster]], Any]] = {
    "fit": lambda f, _: fresh().fit(f["df"]),
    "fit with every policy": lambda f, _: fresh(
        duplicates="mean", missing="interpolate", on_bad_series="fallback", outliers="clip"
    ).fit(f["df"]),
    "fit with static_df": lambda f, _: fresh(hist_exog=["price"], futr_exog=["promo"]).fit(f["df"], static_df=f["static_df"]),
    "fit with columns as features": lambda f, _: fresh(stat_exog=["size"]).fit(f["df"]),
    "predict": lambda f, ready: ready[0].predict(f["df"], level=[80], quantiles=[0.1]),
    "predict with everything": lambda f, ready: ready[1].predict(f["df"], futr_df=f["futr_df"], static_df=f["static_df"]),
    "predict from the history": lambda f, ready: ready[1].predict(futr_df=f["futr_df"]),
    "make_future_frame": lambda f, ready: ready[1].make_future_frame(f["df"], static_df=f["static_df"]),
    "cross_validation": lambda f, _: fresh().cross_validation(f["df"], n_windows=2, refit=True),
    "update": lambda f, _: fresh().fit(given_frames()["df"]).update(f["new"]),
    "update of a net": lambda f, _: net_update(f),
    "plot": lambda f, ready: ready[0].plot(f["df"]),
    "evaluate": lambda f, _: evaluate(f["cv"], to_panel(given_frames()["df"]), 7),
    "report": lambda f, _: report(f),
    "wide_to_long": lambda f, _: wide_to_long(f["wide"], "ds" if "ds" in f["wide"] else None),
    "rows of a job": lambda f, _: inspect_rows(f["df"], Terms(freq="D"), side=SideTables(f["static_df"])),
    "hash of a job's rows": lambda f, _: data_hash(f["df"], Schema()),
}  # fmt: skip


# Calls that do not take a form; what they were given stays as it was all the same.
REFUSED = {
    ("wide_to_long", "objects"),
    ("evaluate", "objects"),
    ("report", "objects"),
    ("hash of a job's rows", "id and time in the index"),
    ("evaluate", "id and time in the index"),
    ("report", "id and time in the index"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("call", CALLS)
def test_what_is_given_stays_as_it_was(call, form, fitted):
    frames = {name: FORMS[form](frame) for name, frame in given_frames().items()}
    before = {name: deep(frame) for name, frame in frames.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ForecastWarning)
        with pytest.raises(ForecastError) if (call, form) in REFUSED else nullcontext():
            CALLS[call](frames, fitted)
    for name, frame in frames.items():
        unchanged(frame, before[name])


@pytest.mark.parametrize("form", ["plain", "an odd index", "objects", "id and time in the index"])
@pytest.mark.parametrize("call", [name for name in CALLS if name != "hash of a job's rows"])
def test_what_is_given_stays_as_it_was_when_the_call_fails(call, form, fitted):
    frames = {name: FORMS[form](spoilt(frame)) for name, frame in given_frames().items()}
    before = {name: deep(frame) for name, frame in frames.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ForecastWarning)
        with pytest.raises(ForecastError):
            CALLS[call](frames, fitted)
    for name, frame in frames.items():
        unchanged(frame, before[name])
