"""The models that must keep the invariants: the default net, a recursive one and every baseline."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import given, settings

from forecast import Forecaster
from forecast.models import create
from tests.invariants.panels import ROLES, H, Sample, panel, series_rows, values
from tests.test_invariants import QUICK, model_of

NETS = ("segrnn", "seq2seq")  # the default, and one that forecasts step by step
CLOSED = ("naive", "seasonal_naive", "drift", "historic_mean", "naive2")
BATCHED = ("theta", "dynamic_theta", "batched_ets")
SINGLE = ("ets", "holt_winters", "sarimax", "stl_ets")
GROUPS = {"nets": NETS, "closed": CLOSED, "batched": BATCHED, "single": SINGLE}
# Share of the profile's examples that a group can afford, and panels that it can.
SHARES = {"nets": 0.16, "closed": 0.3, "batched": 0.08, "single": 0.08}
SMALL: dict[str, Any] = {"series": 2, "shortest": 10, "longest": 30, "freqs": ("D", "B", "QS", 1)}
LEVEL = (50, 90)


def panels(group: str, **options: Any) -> Any:
    """The strategy for ``group``: with covariates for nets, short seasons where every series is a search."""
    if group == "single":
        options = {**SMALL, **options}
        options["freqs"] = [freq for freq in SMALL["freqs"] if freq in options["freqs"]] or options["freqs"]
    return panel(**{"exog": group == "nets", **options})


def holds(group: str, **drawn: Any) -> Callable[[Callable[..., None]], None]:
    """Run the check below at once, on as many examples of ``drawn`` as ``group`` can afford."""

    def run(check: Callable[..., None]) -> None:
        count = max(2, round(settings.default.max_examples * SHARES[group]))  # type: ignore[union-attr]
        settings(max_examples=count)(given(**drawn)(check))()

    return run


def forecaster(group: str, freq: str | int | None, exog: bool = False, h: int = H, **options: Any) -> Forecaster:
    """All models of ``group``, not yet fitted."""
    models = {name: model_of(name) if name in NETS else create(name) for name in GROUPS[group]}
    roles = ROLES if exog else {}
    return Forecaster(models, h=h, freq=freq, training=QUICK, progress=False, **roles, **options)


@cache
def teaching(freq: str | int, tz: str | None, exog: bool) -> Sample:
    """Three plain series to fit on."""
    made = [series_rows(f"t{i}", freq, i, values("season", 40 - i, 1.0, i), tz, i if exog else None) for i in range(3)]
    frame, future = (pd.concat(part, ignore_index=True) for part in zip(*made, strict=True))
    static = pd.DataFrame(
        {"unique_id": ["t0", "t1", "t2"], "size": [0.5, -1.0, 2.0], "region": ["north", "south", "north"]}
    )
    return Sample(frame, freq, tz, future if exog else None, static if exog else None)


@cache
def fitted(group: str, freq: str | int, tz: str | None, exog: bool = False) -> Forecaster:
    """The models of ``group`` fitted on other series than those of the samples."""
    sample = teaching(freq, tz, exog)
    return forecaster(group, freq, exog).fit(sample.frame, static_df=sample.static)


def fitted_for(group: str, sample: Sample) -> Forecaster:
    """The fitted models for the frequency and clock of ``sample``."""
    return fitted(group, sample.freq, sample.tz, sample.future is not None)


def predict(models: Forecaster, sample: Sample, **options: Any) -> pd.DataFrame:
    """Forecasts of ``sample`` with intervals, sorted by series and time."""
    out = models.predict(sample.frame, **tables(sample), **{"level": LEVEL, **options})
    return in_order(out)


def tables(sample: Sample) -> dict[str, Any]:
    """What goes with the frame of ``sample``."""
    return {} if sample.future is None else {"futr_df": sample.future, "static_df": sample.static}


def in_order(out: pd.DataFrame) -> pd.DataFrame:
    """Rows sorted by all columns that are keys."""
    keys = [name for name in ("unique_id", "cutoff", "ds") if name in out]
    return out.sort_values(keys, ignore_index=True)


def same(one: pd.DataFrame, two: pd.DataFrame) -> None:
    """Equal to the last bit."""
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def close(one: pd.DataFrame, two: pd.DataFrame, size: pd.Series, rtol: float) -> None:
    """Same keys in the same order, numbers apart by no more than ``rtol`` of the ``size`` of their series."""
    numbers = [name for name in one if one[name].dtype.kind == "f"]
    same(one.drop(columns=numbers), two.drop(columns=numbers))
    allowed = rtol * size.reindex(one["unique_id"]).to_numpy()
    for name in numbers:
        apart = np.abs(one[name].to_numpy() - two[name].to_numpy())
        worst = int((apart - allowed).argmax())
        assert apart[worst] <= allowed[worst], f"{name}: {one[name][worst]} and {two[name][worst]} in {one.iloc[worst]}"
