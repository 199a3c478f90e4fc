"""Race the peers, each in its own virtual environment, and print a table of training speeds.

`python compare.py [--rounds 3] [--steps 30] [--threads 1] [--ours "COMMAND {panel} --steps {steps}"]`; see README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import panel

HERE = Path(__file__).resolve().parent
TORCH = "torch==2.13.0"
ALLOCATORS = ("default", "mallopt")


class Failed(Exception):
    """An environment or a run did not work; the message becomes the peer's row."""


@dataclass(frozen=True)
class Peer:
    """A row of the table: the environment and requirements file are named after `toolkit`."""

    name: str
    toolkit: str
    flags: tuple[str, ...] = ()

    @property
    def script(self) -> Path:
        """The script that trains it."""
        return HERE / f"run_{self.toolkit.replace('-', '_')}.py"


PEERS = (
    Peer("neuralforecast LSTM", "neuralforecast"),
    Peer("darts BlockRNN", "darts"),
    Peer("gluonts DeepAR", "gluonts"),
    Peer("gluonts DeepAR, plain input", "gluonts", ("--plain",)),
    Peer("pytorch-forecasting RNN", "pytorch-forecasting"),
)


class Results:
    """Json lines per row and allocator, and the first reason why a row has none."""

    def __init__(self) -> None:
        self.lines: dict[tuple[str, str], list[dict[str, object]]] = defaultdict(list)
        self.reasons: dict[str, str] = {}

    def median(self, row: str, allocator: str) -> float | None:
        """Median windows per second, None without a run."""
        speeds = [float(str(line["windows_per_second"])) for line in self.lines[row, allocator]]
        return statistics.median(speeds) if speeds else None

    def version(self, row: str) -> str:
        """The version the row's runs reported, "-" without a run."""
        found = [str(line.get("version", "-")) for key, lines in self.lines.items() if key[0] == row for line in lines]
        return found[0] if found else "-"


def environment(toolkit: str, folder: Path, base_python: str) -> Path:
    """Create the peer's virtual environment unless it is there already, and return its python.

    Torch goes in first, and must still be the same build afterwards: a requirement that replaced it would compare
    two torches instead of two toolkits.
    """
    home = folder / toolkit
    python = home / "bin" / "python"
    requirements = HERE / f"requirements-{toolkit}.txt"
    stamp = home / "installed-requirements.txt"
    if stamp.exists() and stamp.read_text() == requirements.read_text():
        return python
    print(f"installing {toolkit} into {home}", file=sys.stderr, flush=True)
    _call([base_python, "-m", "venv", "--clear", str(home)])
    _call([str(python), "-m", "pip", "install", "--quiet", TORCH])
    before = _torch_build(python)
    _call([str(python), "-m", "pip", "install", "--quiet", "-r", str(requirements)])
    after = _torch_build(python)
    if before != after:
        raise Failed(f"its requirements replaced torch {before} by {after}")
    stamp.write_text(requirements.read_text())
    return python


def run(command: list[str], threads: int, timeout: float | None) -> dict[str, object]:
    """Run one measurement and return its json line, the last line of standard output."""
    limits = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    output = _call(command, timeout=timeout, environment={**os.environ, **limits}).strip().splitlines()
    try:
        line = json.loads(output[-1]) if output else None
    except json.JSONDecodeError:
        line = None
    if not isinstance(line, dict) or "windows_per_second" not in line:
        raise Failed(f"printed no result: {output[-1:]}")
    return line


def race(options: argparse.Namespace, peers: tuple[Peer, ...], panel_path: Path) -> Results:
    """Run everything once per round, in turn, so that a slow spell of the machine hits all of them alike."""
    results = Results()
    pythons: dict[str, Path] = {}
    for toolkit in dict.fromkeys(peer.toolkit for peer in peers):
        try:
            pythons[toolkit] = environment(toolkit, options.envs, options.python)
        except Failed as failure:
            results.reasons |= {peer.name: f"not installed: {failure}" for peer in peers if peer.toolkit == toolkit}
    for number in range(options.rounds):
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
        for row, allocator, command in _schedule(options, peers, pythons, panel_path):
            if row in results.reasons:
                continue
            try:
                results.lines[row, allocator].append(run(command, options.threads, options.timeout))
            except Failed as failure:
                results.reasons[row] = f"failed ({allocator}): {failure}"
    return results


def table(results: Results, peers: tuple[Peer, ...], with_ours: bool) -> str:
    """The results as a Markdown table of medians; the ratios say how many times faster `forecast` is."""
    ours = results.median("forecast", "default") if with_ours else None
    header = ["toolkit", "version", "windows/s, default allocator", "windows/s, mallopt"]
    header += ["forecast / default", "forecast / mallopt"] if with_ours else []
    lines = [header, ["---"] * 2 + ["---:"] * (len(header) - 2)]
    for row in (["forecast"] if with_ours else []) + [peer.name for peer in peers]:
        speeds = [results.median(row, allocator) for allocator in ALLOCATORS]
        cells = [row, results.version(row), *(_cell(speed, ".0f") for speed in speeds)]
        if with_ours:
            cells += [_cell(ours / speed if ours and speed else None, ".2f") for speed in speeds]
        if row in results.reasons:
            cells[2] += f" ({results.reasons[row]})"
        lines.append(cells)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def main() -> None:
    """Parse the options, race, print the table and, with `--json`, keep every line behind it."""
    options = _options()
    peers = tuple(peer for peer in PEERS if not options.peers or peer.toolkit in options.peers)
    with tempfile.TemporaryDirectory(prefix="forecast-bench-") as scratch:
        results = race(options, peers, panel.write(Path(scratch)))
    if options.json:
        lines = [line | {"row": row, "allocator": kind} for (row, kind), some in results.lines.items() for line in some]
        options.json.write_text("".join(json.dumps(line) + "\n" for line in lines))
    print(table(results, peers, bool(options.ours)))


def _schedule(
    options: argparse.Namespace, peers: tuple[Peer, ...], pythons: dict[str, Path], panel_path: Path
) -> Iterator[tuple[str, str, list[str]]]:
    if options.ours:
        command = options.ours
        for place, value in {"panel": panel_path, "steps": options.steps, "threads": options.threads}.items():
            command = command.replace("{" + place + "}", str(value))
        yield "forecast", "default", shlex.split(command)
    shared = [str(panel_path), "--steps", str(options.steps), "--threads", str(options.threads)]
    for peer in peers:
        if peer.toolkit not in pythons:
            continue
        command = [str(pythons[peer.toolkit]), str(peer.script), *shared, *peer.flags]
        yield peer.name, "default", command
        yield peer.name, "mallopt", [*command, "--mallopt"]


def _call(command: list[str], timeout: float | None = None, environment: dict[str, str] | None = None) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment, check=False)
    except subprocess.TimeoutExpired:
        raise Failed(f"took longer than {timeout:.0f} s") from None
    except OSError as error:
        raise Failed(f"could not start {command[0]}: {error.strerror}") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["nothing on standard error"]
        raise Failed(f"exit status {done.returncode}: {said[-1][-200:].replace('|', '/')}")
    return done.stdout


def _torch_build(python: Path) -> str:
    return _call([str(python), "-c", "from importlib.metadata import version; print(version('torch'))"]).strip()


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _options() -> argparse.Namespace:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "forecast-bench"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--envs", type=Path, default=cache, help="folder of the environments (default: user cache)")
    parser.add_argument("--python", default=sys.executable, help="interpreter the environments are made from")
    parser.add_argument("--peers", nargs="+", choices=sorted({peer.toolkit for peer in PEERS}), help="only these")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each row and allocator (default 3)")
    parser.add_argument("--steps", type=int, default=30, help="timed training steps per run (default 30)")
    parser.add_argument("--threads", type=int, default=1, help="threads for torch (default 1)")
    parser.add_argument("--timeout", type=float, default=900, help="seconds one run may take (default 900)")
    parser.add_argument("--ours", help="command printing the same json line; {panel} {steps} {threads} are filled in")
    parser.add_argument("--json", type=Path, help="also write every run as a json line to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
