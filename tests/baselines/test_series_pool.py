"""The process pool: the same results in the same order, whatever happens to its workers."""

from __future__ import annotations

import multiprocessing
import os
from functools import partial

import numpy as np
import pytest

from forecast.baselines import pool
from forecast.baselines.pool import available_workers, map_chunks
from forecast.baselines.statistical import ETS, Theta
from forecast.errors import ConfigError, ForecastWarning


def where(number: int) -> tuple[int, int]:
    """The number squared, and the process that did it."""
    return number**2, os.getpid()


def fragile(number: int) -> int:
    """Square a number, but die over 3 when that is in a worker."""
    if number == 3 and multiprocessing.parent_process() is not None:
        os._exit(1)
    return number**2


def threads(_: int) -> list[int]:
    """How many threads each BLAS library of this process would use."""
    from threadpoolctl import threadpool_info

    np.eye(2) @ np.eye(2)
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_short_work_stays_in_this_process():
    assert map_chunks(where, range(5), workers=2) == [(number**2, os.getpid()) for number in range(5)]


def test_long_work_moves_to_other_processes_and_keeps_its_order():
    done = []
    results = map_chunks(where, range(7), workers=2, patience=0.0, finished=done.append)
    assert [square for square, _ in results] == [number**2 for number in range(7)]
    assert os.getpid() not in {process for _, process in results}
    assert done == results


def test_one_worker_means_this_process_however_long_it_takes():
    assert {process for _, process in map_chunks(where, range(3), workers=1, patience=0.0)} == {os.getpid()}


def test_no_work_gives_no_results():
    assert map_chunks(where, [], workers=2, patience=0.0) == []


@pytest.mark.parametrize("patience", [0.0, 60.0])
def test_linear_algebra_runs_in_one_thread(patience):
    counts = map_chunks(threads, range(2), workers=2, patience=patience)
    assert {count for found in counts for count in found} <= {1}


def test_chunks_of_a_dead_worker_are_computed_here_with_a_warning():
    with pytest.warns(ForecastWarning, match="computed in this process"):
        results = map_chunks(partial(fragile), range(6), workers=2, patience=0.0)
    assert results == [number**2 for number in range(6)]


@pytest.mark.parametrize("model", [ETS(), Theta()], ids=lambda model: type(model).__name__)
def test_forecasts_are_the_same_in_one_process_and_in_several(model, predict, wave, monkeypatch):
    series = [wave(30 + seed, seed=seed) for seed in range(6)] + [[1.0], [2.0, 2.0]]
    monkeypatch.setenv("FORECAST_WORKERS", "1")
    serial = predict(model, series, 6, 12, (0.1, 0.9))
    monkeypatch.setenv("FORECAST_WORKERS", "2")
    monkeypatch.setattr(pool, "_here", lambda function, chunks, patience: iter(()))  # only the pool can answer
    parallel = predict(model, series, 6, 12, (0.1, 0.9))
    np.testing.assert_array_equal(serial.point, parallel.point)
    np.testing.assert_array_equal(serial.quantiles, parallel.quantiles)
    assert serial.reasons == parallel.reasons


def test_the_environment_sets_the_number_of_workers(monkeypatch):
    monkeypatch.setenv("FORECAST_WORKERS", "3")
    assert available_workers() == 3
    monkeypatch.delenv("FORECAST_WORKERS")
    assert available_workers() >= 1


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_an_impossible_number_of_workers_is_refused(monkeypatch, text):
    monkeypatch.setenv("FORECAST_WORKERS", text)
    with pytest.raises(ConfigError, match="FORECAST_WORKERS"):
        available_workers()


def test_a_worker_does_not_start_workers_of_its_own():
    assert map_chunks(_workers_seen, [0], workers=2, patience=0.0) == [1]


def _workers_seen(_: int) -> int:
    os.environ.pop("FORECAST_WORKERS", None)
    return available_workers()
