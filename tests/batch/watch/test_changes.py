"""What changed since the last run, and because of what."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecast.batch.watch.changes import changes

SCALES = pd.Series([1.0, 10.0, np.nan], index=["a", "b", "c"])


def run(cutoff: int, **means: float) -> pd.DataFrame:
    """Three days after ``cutoff``, the same value on each."""
    days = pd.Timestamp("2026-03-01") + pd.to_timedelta(cutoff + np.arange(1, 4), unit="D")
    return pd.concat(
        [pd.DataFrame({"unique_id": name, "ds": days, "mean": value}) for name, value in means.items()],
        ignore_index=True,
    )


def test_forecasts_are_compared_where_both_runs_have_them() -> None:
    found = changes("r", run(0, a=10.0, b=100.0, gone=1.0), run(1, a=11.0, b=120.0, new=5.0), (), {}, SCALES)
    assert found.total is not None
    assert found.total.n == 4  # two days of two series
    assert found.total.absolute == pytest.approx(10.5)
    assert found.total.share == pytest.approx(10.5 / 65.5)
    assert found.total.scaled == pytest.approx((1.0 + 2.0) / 2)


def test_the_series_that_moved_most_in_its_own_scale_comes_first_and_one_without_a_scale_last() -> None:
    found = changes("r", run(0, a=1.0, b=1.0, c=1.0), run(0, a=4.0, b=11.0, c=99.0), (), {}, SCALES)
    assert found.series["unique_id"].tolist() == ["a", "b", "c"]
    assert found.series["scaled"].tolist()[:2] == [3.0, 1.0]


def test_one_thing_that_changed_alone_is_the_whole_change() -> None:
    found = changes("r", run(0, a=1.0), run(1, a=3.0), ("model",), {}, SCALES)
    assert found.parts["model"] == found.total


def test_several_things_are_told_apart_by_holding_the_others() -> None:
    held = {"data": run(0, a=2.5), "model": run(1, a=1.5)}
    found = changes("r", run(0, a=1.0), run(1, a=3.0), ("data", "model", "settings"), held, SCALES)
    assert found.parts["data"].absolute == pytest.approx(0.5)
    assert found.parts["model"].absolute == pytest.approx(1.5)
    assert found.parts["settings"] is None
    assert found.total.absolute == pytest.approx(2.0)


def test_of_two_things_that_changed_one_held_tells_both() -> None:
    held = {"model": run(1, a=1.5)}  # today's rows, yesterday's model
    found = changes("r", run(0, a=1.0), run(1, a=3.0), ("data", "model"), held, SCALES)
    assert found.parts["model"].absolute == pytest.approx(1.5)
    assert found.parts["data"].absolute == pytest.approx(0.5)
    unknown = changes("r", run(0, a=1.0), run(1, a=3.0), ("data", "model", "settings"), held, SCALES)
    assert unknown.parts["data"] is None


def test_what_cannot_be_compared_is_said_to_be_unknown() -> None:
    assert changes(None, None, run(0, a=1.0), (), {}, SCALES).total is None
    assert changes("r", run(0, a=1.0), None, ("data",), {}, SCALES).total is None
    assert changes("r", run(0, a=1.0), run(5, a=1.0), ("data",), {}, SCALES).total is None
    assert changes("r", run(0, a=1.0).iloc[:0], run(0, a=1.0), (), {}, SCALES).total is None
    assert changes("r", run(0, a=np.nan), run(0, a=1.0), ("data",), {}, SCALES).total is None


def test_order_and_index_of_the_rows_do_not_matter() -> None:
    before, now = run(0, a=1.0, b=2.0), run(1, a=2.0, b=7.0)
    shuffled = changes("r", before.sample(frac=1, random_state=1), now.sample(frac=1, random_state=2), (), {}, SCALES)
    assert shuffled.total == changes("r", before, now, (), {}, SCALES).total


def test_zoned_stamps_of_the_same_instant_are_the_same() -> None:
    before, now = run(0, a=1.0), run(0, a=2.0)
    before["ds"], now["ds"] = (
        before["ds"].dt.tz_localize("UTC"),
        now["ds"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"),
    )
    assert changes("r", before, now, (), {}, SCALES).total.n == 3
