"""One function over many chunks of work, in this process or in several, with the same results in the same order."""

from __future__ import annotations

import multiprocessing
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from forecast.errors import ConfigError, ForecastWarning

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")

WORKERS_VARIABLE = "FORECAST_WORKERS"
PATIENCE = 4.0  # seconds of work left below which starting processes (two to three seconds) does not pay


def available_workers() -> int:
    """Processes to work in: ``FORECAST_WORKERS``, or else the cores that this process may use.

    A process that is itself somebody's worker uses one, since its siblings use the other cores. Raises
    ``ConfigError`` when the variable is not a positive whole number.
    """
    text = os.environ.get(WORKERS_VARIABLE, "").strip()
    if text:
        if not text.isdecimal() or int(text) < 1:
            raise ConfigError(f"{WORKERS_VARIABLE}={text!r} must be a whole number of processes, at least 1.")
        return int(text)
    if multiprocessing.parent_process() is not None:
        return 1
    from joblib import cpu_count

    return int(cpu_count())  # honours CPU affinity and container limits


def map_chunks(
    function: Callable[[Chunk], Result],
    chunks: Sequence[Chunk],
    *,
    workers: int,
    patience: float | None = None,
    finished: Callable[[Result], object] = lambda result: None,
) -> list[Result]:
    """``[function(chunk) for chunk in chunks]``, in ``workers`` processes once that looks worth their start.

    Work begins in this process and moves to a pool when the time per chunk so far says that more than ``patience``
    seconds (four by default) are left; 0 moves it at once. Either way every chunk is computed by the same code with
    one BLAS thread, so the results are the same. When a worker dies (killed, out of memory), a ``ForecastWarning``
    says so and the unfinished chunks are computed here.

    Args:
        function: must be importable by name (no lambda), and so must its arguments' classes.
        finished: called with each result, in order.
    """
    results: list[Result] = []
    patience = PATIENCE if patience is None else patience
    for result in _here(function, chunks, patience if workers > 1 else float("inf")):
        results.append(result)
        finished(result)
    try:
        for result in _in_pool(function, chunks[len(results) :], workers):
            results.append(result)
            finished(result)
    except (BrokenProcessPool, OSError) as problem:
        left = len(chunks) - len(results)
        warnings.warn(
            f"A worker process could not be used ({type(problem).__name__}): {left} of {len(chunks)} chunks of series "
            f"are computed in this process. If memory ran out, set {WORKERS_VARIABLE}=1.",
            ForecastWarning,
            stacklevel=2,
        )
    for result in _here(function, chunks[len(results) :], float("inf")):
        results.append(result)
        finished(result)
    return results


def _here(function: Callable[[Chunk], Result], chunks: Sequence[Chunk], patience: float) -> Iterator[Result]:
    """Results in this process, until more than ``patience`` seconds seem to be left."""
    if not chunks or patience <= 0.0:
        return
    from threadpoolctl import threadpool_limits

    # On small matrices several BLAS threads cost 5 to 16 times the CPU time.
    with threadpool_limits(1, user_api="blas"):
        yield function(chunks[0])  # not timed: it pays for imports
        start = time.perf_counter()
        for done, chunk in enumerate(chunks[1:]):
            if done and (time.perf_counter() - start) / done * (len(chunks) - 1 - done) > patience:
                return
            yield function(chunk)


def _in_pool(function: Callable[[Chunk], Result], chunks: Sequence[Chunk], workers: int) -> Iterator[Result]:
    """Results from a pool of processes.

    The processes are joblib's: fresh interpreters (a fork could inherit a lock that one of torch's threads holds),
    started with one BLAS thread in their environment. Unlike the standard library's they do not run the caller's main
    script again, so a script without ``if __name__ == "__main__"`` works, and they are kept for the next call.
    """
    if not chunks:
        return
    from joblib import Parallel, delayed, parallel_config

    with parallel_config(backend="loky", inner_max_num_threads=1):
        pool = Parallel(n_jobs=workers, return_as="generator", batch_size=1, pre_dispatch="4*n_jobs", max_nbytes=None)
        yield from pool(delayed(function)(chunk) for chunk in chunks)
