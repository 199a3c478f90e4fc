"""The mutation gate: would the tests notice? ``python -m tests.mutations`` breaks a copy of the package in one way
after another and runs the invariants on it.

The first six mistakes are those that a well-known exam for forecasters passes; the others are leaks. Each must be
noticed by a test, and the copy that nothing was done to must pass them all; otherwise the exit code is 1.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("forecast", "conf", "datasets", "tests", "pyproject.toml")
SKIPPED = shutil.ignore_patterns("benchmarks", "fixtures", "*.svg")
PATIENCE = 900  # seconds for the tests of one copy


@dataclass(frozen=True)
class Mutation:
    """One mistake: ``found``, which must be in ``file`` once, becomes ``put``."""

    name: str
    file: str
    found: str
    put: str

    def applied(self, source: str) -> str:
        """``source`` with the mistake. Raises ``ValueError`` unless its text is there exactly once."""
        count = source.count(self.found)
        if count != 1:
            raise ValueError(f"{self.name}: {self.file} has the text {count} times, once is needed:\n{self.found}")
        return source.replace(self.found, self.put)


NEURAL, NAIVE = "forecast/training/neural.py", "forecast/baselines/naive.py"

MUTATIONS = (
    Mutation(
        "zero forecasts",
        NEURAL,
        "point = output[..., point_index(self.facts.probs)]",
        "point = 0.0 * output[..., point_index(self.facts.probs)]",
    ),
    Mutation(
        "crossing quantiles",
        "forecast/conformal.py",
        "half if prob >= 0.5 else -half",
        "-half if prob >= 0.5 else half",
    ),
    Mutation(
        "all-zero quantiles",
        NEURAL,
        "return Prediction(point, self.intervals.quantiles(point, spread, probs), probs)",
        "return Prediction(point, 0.0 * self.intervals.quantiles(point, spread, probs), probs)",
    ),
    Mutation(
        "contamination: a series' forecast leaks into another's",
        NEURAL,
        "                outputs[rows] = scaled.restore(self.net(scaled.batch)).numpy()\n",
        "                made = scaled.restore(self.net(scaled.batch)).numpy()\n"
        "                outputs[rows] = 0.99 * made + 0.01 * made[::-1]\n",
    ),
    Mutation(
        "horizon steps reversed",
        NEURAL,
        "        output = output[:, :h]\n",
        "        output = output[:, ::-1][:, :h]\n",
    ),
    Mutation(
        "update() ignores data",
        "forecast/forecaster.py",
        "        self._panel, self._bad = panel, bad\n        return self\n",
        "        self._bad = bad\n        return self\n",
    ),
    Mutation(
        "peek one step: the window includes the first target row",
        "forecast/windows/gather.py",
        "return _identified(Batch(rows[:, :input_size], None, future, None, progress), store, starts)",
        "past = rows[:, 1 : input_size + 1] if h else rows\n"
        "        return _identified(Batch(past, None, future, None, progress), store, starts)",
    ),
    Mutation(
        "scaler fitted on all data",
        "forecast/training/source.py",
        "measure.affine(panel.head(panel.lengths - held_out))",
        "measure.affine(panel)",
    ),
    Mutation(
        "off-by-one window",
        "forecast/windows/sampler.py",
        "counts = np.maximum(store.lengths - held_out - width + 1, 0)[order]",
        "counts = np.maximum(store.lengths - held_out - width + 2, 0)[order]",
    ),
    # The same kinds of mistake where no net is concerned.
    Mutation(
        "peek one step: the past of a backtest includes the first actual",
        "forecast/panel/split.py",
        "past = panel.before(cutoff)",
        "past = panel.before(cutoff + 1)",
    ),
    Mutation(
        "horizon steps reversed, of a baseline",
        NAIVE,
        "column = np.arange(ask.h) % width",
        "column = np.arange(ask.h)[::-1] % width",
    ),
    Mutation(
        "covariates of the past fitted on all data",
        NEURAL,
        "fit_readings(taught, **roles)",
        "fit_readings(panel, **roles)",
    ),
)

# Quick tests first: a copy is done with at the first that fails.
CHOSEN = (
    "tests/invariants/test_leakage.py::test_every_window_is_there_once_with_the_values_of_its_own_steps",
    "tests/invariants/test_leakage.py::test_scales_windows_and_encodings_come_from_training_rows_alone[segrnn]",
    "tests/invariants/test_leakage.py::test_rows_after_a_cutoff_change_no_forecast_made_at_it[closed]",
    "tests/invariants/test_equivariance.py::test_a_season_that_repeats_goes_on_in_its_own_order[nets]",
    "tests/invariants/test_equivariance.py::test_a_season_that_repeats_goes_on_in_its_own_order[closed]",
    "tests/invariants/test_equivariance.py::test_a_constant_is_forecast_as_that_constant[nets]",
    "tests/invariants/test_equivariance.py::test_neighbours_change_nothing_and_twins_are_forecast_alike[nets]",
    "tests/invariants/test_equivariance.py::test_updating_with_new_rows_is_forecasting_from_all_rows[nets]",
    "tests/invariants/test_numerics.py::test_quantiles_do_not_cross_and_are_the_intervals[nets]",
)


def copied(folder: Path) -> Path:
    """A copy of what the tests need, without what they do not."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=SKIPPED)
        else:
            shutil.copy2(source, folder / name)
    return folder


def tested(folder: Path) -> tuple[str | None, float]:
    """The first test that fails in ``folder``, ``None`` where all pass, and the seconds that it took.

    Raises ``RuntimeError`` when the tests could not be run, which is no verdict.
    """
    started = time.monotonic()
    threads = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder)}
    options = ["-x", "-q", "--tb=no", "-rf", "-p", "no:xdist", "--hypothesis-profile=gate"]
    command = [sys.executable, "-m", "pytest", *options, *CHOSEN]
    run = subprocess.run(
        command, cwd=folder, env=os.environ | threads, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    seconds = time.monotonic() - started
    if run.returncode == 0:
        return None, seconds
    killer = re.search(r"^FAILED \S*?([^/\s:]+::\S+)", run.stdout, re.MULTILINE)
    if run.returncode != 1 or killer is None:
        raise RuntimeError(f"the tests could not be run (exit code {run.returncode}):\n{run.stdout}\n{run.stderr}")
    return killer[1], seconds


def check_copy(folder: Path) -> None:
    """Raise ``RuntimeError`` when tests in ``folder`` would import the package from elsewhere."""
    where = subprocess.run(
        [sys.executable, "-c", "import forecast; print(forecast.__file__)"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    if not Path(where).is_relative_to(folder.resolve()):
        raise RuntimeError(f"the copy in {folder} would be tested with the package in {where}")


def verdict(mutation: Mutation | None, base: Path) -> tuple[bool, str]:
    """Whether the copy in ``base`` gives what it must with ``mutation``, and a line that says so. It is left as it
    was."""
    if mutation is None:
        killer, seconds = tested(base)
        return killer is None, _line("nothing changed", "all pass" if killer is None else f"FAILS {killer}", seconds)
    path = base / mutation.file
    source = path.read_text(encoding="utf-8")
    try:
        path.write_text(mutation.applied(source), encoding="utf-8")
        killer, seconds = tested(base)
    finally:
        path.write_text(source, encoding="utf-8")
    return killer is not None, _line(mutation.name, killer or "SURVIVES", seconds)


def _line(name: str, result: str, seconds: float) -> str:
    return f"| {name:<66} | {result:<90} | {seconds:5.0f} s |"


def main() -> int:
    """Print a line for each copy; 1 when one is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="parts of names of mutations; all by default")
    only = parser.parse_args().only
    chosen = [m for m in MUTATIONS if not only or any(part in m.name for part in only)]
    verdicts = []
    with tempfile.TemporaryDirectory() as folder:
        base = copied(Path(folder))
        check_copy(base)
        for mutation in (None, *chosen):
            right, line = verdict(mutation, base)
            print(line, flush=True)
            verdicts.append(right)
    wrong = verdicts.count(False)
    print(f"{len(verdicts) - wrong} of {len(verdicts)} copies as they must be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
