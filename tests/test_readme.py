"""The README is run as it is written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import matplotlib
import pytest

from forecast.batch.opening import open_job
from forecast.usage import HELP

README = Path(__file__).parent.parent / "README.md"
CODE = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
JOBS = re.findall(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
COMMANDS = [
    line.removeprefix("$ ").split("  #")[0].strip()
    for block in re.findall(r"```console\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ ")
]


def test_every_python_block_runs_in_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FORECAST_WORKERS", "1")  # starting processes takes longer than these trainings
    matplotlib.use("Agg")
    names: dict[str, object] = {}
    for block in CODE:
        quick = re.sub(r"max_time=\d+", "max_steps=5", block).replace("max_steps=100", "max_steps=5")
        exec(compile(quick, "README.md", "exec"), names)
    assert list(names["out"].columns) == [
        "unique_id",
        "ds",
        "segrnn",
        *(f"segrnn-{c}" for c in ("lo-90", "lo-80", "hi-80", "hi-90")),
    ]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_names_commands_and_settings_that_exist(command):
    program, verb, *rest = shlex.split(command)
    assert program == "forecast"
    assert verb in HELP or verb == "--help"
    known = HELP.get(verb, "")
    for argument in rest:
        key = argument.partition("=")[0]
        if "=" in argument:
            assert key in known or key.split(".")[0] in ("data", "model", "trainer"), argument


@pytest.mark.parametrize("text", JOBS)
def test_every_job_is_one_that_can_be_run(text, tmp_path, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "canary")
    path = tmp_path / "nightly.yaml"
    path.write_text(text)
    job = open_job(path)
    assert job.name == "nightly" and job.h == 28
    assert "canary" not in repr(job)


def test_every_target_of_make_that_is_named_exists():
    makefile = (README.parent / "Makefile").read_text()
    for target in re.findall(r"(?:^    |`)make ([a-z]+)", README.read_text(encoding="utf-8"), re.MULTILINE):
        assert f"\n{target}:" in makefile, target
