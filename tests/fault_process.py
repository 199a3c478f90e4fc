"""A process that forks trainings, savings and commands, and strikes them, without waiting for imports each time.

Started as ``python -m tests.fault_process``. Each line of its input is an order as JSON, each has one line of answer:
``{"code": …}`` with what was found out, or ``{"signal": …}`` of one that was killed.

An order has ``do``, one of the functions of ``ORDERS``, its arguments, and perhaps a ``strike``: ``[place, number,
signal, when]``, the signal that the process sends itself when it comes to ``place`` for the ``number``-th time, and
whether ``before`` or ``after`` what happens there, or ``half`` way through a writing.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


class Forks:
    """Gives orders to the process; the tests' end of the wire."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.fault_process"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, do: str, **order: Any) -> dict[str, Any]:
        """The answer to an order."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, **order}) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def end(self) -> None:
        """Let it go."""
        self.process.communicate(timeout=60)


def fit(
    folder: str | None = None, threads: int = 1, model: str = "segrnn", batch_size: int = 8, steps: int = 28
) -> dict[str, Any]:
    """Train a tiny net on data that are always the same, resumable from ``folder``; gives a digest of what came out."""
    from forecast import Forecaster, Training
    from forecast.models import LSTM, SegRNN
    from tests.conftest import seasonal_frame

    nets: dict[str, Any] = {
        "segrnn": SegRNN(input_size=12, segment=4, hidden_size=8, dropout=0.1),
        "lstm": LSTM(input_size=12, hidden_size=16),
    }
    training = Training(max_steps=steps, batch_size=batch_size, cycles=2, validations=3, patience=None, threads=threads)
    training = replace(training, checkpoint_dir=folder)
    forecaster = Forecaster(nets[model], h=3, training=training, progress=False).fit(seasonal_frame())
    return {"digest": digest(forecaster), "steps": forecaster._fitted[model].history["steps"]}  # type: ignore[attr-defined]


def digest(forecaster: Any) -> str:
    """SHA-256 of all weights and forecasts."""
    found = hashlib.sha256()
    for fitted in forecaster._fitted.values():
        for name, value in sorted(fitted.net.state_dict().items()):
            found.update(name.encode())
            found.update(value.numpy().tobytes())
    out = forecaster.predict(level=[80])
    found.update(out.iloc[:, 2:].to_numpy().tobytes())
    return found.hexdigest()


def save(source: str, target: str) -> dict[str, Any]:
    """Load the model in ``source`` and save it to ``target``."""
    from forecast import Forecaster

    Forecaster.load(source).save(target)
    return {}


def command(words: list[str], folder: str, second: str | None = None) -> dict[str, Any]:
    """``forecast`` with ``words``, in ``folder``; with ``second``, at that second of the clock."""
    from forecast.cli import main

    os.chdir(folder)
    if second is not None:
        _stop_clock(second)
    return {"code": main(words)}


def _stop_clock(second: str) -> None:
    """Have Hydra's ``now`` always tell the same."""
    from hydra._internal import hydra as inside
    from omegaconf import OmegaConf

    real = inside.setup_globals

    def setup() -> None:
        real()
        OmegaConf.register_new_resolver("now", lambda pattern: second, replace=True)

    inside.setup_globals = setup


ORDERS: dict[str, Callable[..., dict[str, Any]]] = {"fit": fit, "save": save, "command": command}


def _owner(place: str) -> tuple[Any, str]:
    """Where the function called ``place`` in orders lives."""
    from forecast.training.keeper import Keeper
    from forecast.training.module import ForecastModule

    return {
        "checkpoint": (Keeper, "_save"),
        "step": (ForecastModule, "learn"),
        "replace": (os, "replace"),
        "write": (Path, "write_bytes"),
    }[place]


def arm(place: str, number: int, signum: int, when: str) -> None:
    """Have this process strike itself."""
    owner, name = _owner(place)
    real = getattr(owner, name)
    seen = 0

    def struck(*args: Any, **options: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen != number:
            return real(*args, **options)
        if when == "half":
            path, data = args
            real(path, data[: len(data) // 2])
        if when != "after":
            os.kill(os.getpid(), signum)
        result = real(*args, **options)
        os.kill(os.getpid(), signum if when == "after" else 0)
        return result

    setattr(owner, name, struck)


def carry_out(order: dict[str, Any], answer: Path) -> int:
    """In the forked process."""
    # As in any new process: a fork has what its parent made of them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    do = ORDERS[order.pop("do")]
    strike = order.pop("strike", None)
    if strike is not None:
        arm(*strike)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        found = do(**order)
    code: int = found.pop("code", 0)
    answer.write_text(json.dumps({"code": code, **found, "warnings": [str(warning.message) for warning in told]}))
    return code


def forked(order: dict[str, Any], folder: Path) -> int:
    """Start a process for ``order``; returns its id."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        with (folder / f"log{os.getpid()}").open("ab", buffering=0) as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            code = carry_out(order, folder / f"answer{os.getpid()}")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    except KeyboardInterrupt:
        code = 99  # not told as an exit code of ours: nobody caught it
    finally:
        sys.stdout.flush()
        os._exit(code)


def ended(pid: int, folder: Path) -> dict[str, Any]:
    """What became of the process."""
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return {"signal": os.WTERMSIG(status)}
    answer, log = folder / f"answer{pid}", (folder / f"log{pid}").read_text()
    told = json.loads(answer.read_text()) if answer.exists() else {}
    return {"code": os.WEXITSTATUS(status), **told, "log": log[-3000:]}


def serve() -> None:
    """Answer orders until the input ends. ``copies`` of an order run at the same time, as a list of answers."""
    for module in ("cli", "commands", "training.run", "ingest.door"):
        import_module(f"forecast.{module}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for line in sys.stdin:
            order = json.loads(line)
            copies = order.pop("copies", None)
            found = [ended(pid, folder) for pid in [forked(dict(order), folder) for _ in range(copies or 1)]]
            print(json.dumps({"answers": found} if copies else found[0]), flush=True)  # noqa: T201


if __name__ == "__main__":
    serve()
