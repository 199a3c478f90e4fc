"""The ready texts for cron, systemd, Airflow and Kubernetes are what those read, and do what they say."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import types
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from forecast.batch.examples import EXAMPLES, Setup, example, on_calendar
from forecast.batch.misfire import Policy
from forecast.batch.slots import Schedule
from forecast.errors import ConfigError

ODD_FOLDER = 'it\'s 100% odd; $HOME `pwd` "x"'
SYSTEMD = shutil.which("systemd-analyze")


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    """A job in a folder with an odd name, and a ``forecast`` that says how it was called and ends with code 3."""
    folder = tmp_path / ODD_FOLDER
    folder.mkdir()
    program = folder / "forecast"
    program.write_text('#!/bin/sh\npwd > called\nfor word in "$@"; do echo "$word" >> called; done\nexit ${CODE:-3}\n')
    program.chmod(0o755)
    policy = Policy(max_runtime=3600.0, retries=2, backoff=45.0)
    return Setup(
        ("job=jobs/nightly.yaml", "model.name=a b"),
        "nightly",
        Schedule("30 2 * * 1-5", "Europe/Berlin"),
        policy,
        str(program),
        str(folder),
    )


def called(setup: Setup) -> list[str]:
    return (Path(setup.folder) / "called").read_text().splitlines()


def test_the_line_for_cron_is_five_fields_and_a_command(setup: Setup) -> None:
    comment, line = example("cron", setup).splitlines()
    assert comment.startswith("#") and "CRON_TZ=Europe/Berlin" in comment
    match = re.fullmatch(r"(\S+ \S+ \S+ \S+ \S+)  (.+)", line)
    assert match is not None and match[1] == "30 2 * * 1-5"
    assert not re.search(r"(?<!\\)%", match[2])  # to cron, that would be a new line
    done = subprocess.run(["sh", "-c", match[2].replace("\\%", "%")], cwd="/", check=False)
    assert done.returncode == 3
    assert called(setup) == [setup.folder, "batch", "job=jobs/nightly.yaml", "model.name=a b"]
    assert (Path(setup.folder) / "nightly.log").exists()


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (3, 0), (10, 0), (4, 4), (8, 8), (9, 9)])
def test_airflow_hands_over_the_end_of_the_interval(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, code: int, expected: int
) -> None:
    told: dict[str, Any] = {}

    class Recorder:
        def __init__(self, *words: Any, **settings: Any) -> None:
            told.update(settings, words=told.get("words", ()) + words)

        def __enter__(self) -> None: ...

        def __exit__(self, *error: object) -> None: ...

    names = ("airflow", "airflow.sdk", "airflow.providers", "airflow.providers.standard",
             "airflow.providers.standard.operators", "airflow.providers.standard.operators.bash", "pendulum")  # fmt: skip
    for name in names:
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setattr(sys.modules["airflow.sdk"], "DAG", Recorder, raising=False)
    monkeypatch.setattr(sys.modules[names[5]], "BashOperator", Recorder, raising=False)
    monkeypatch.setattr(sys.modules["pendulum"], "datetime", lambda *day, tz: (day, tz), raising=False)
    exec(compile(example("airflow", setup), "dag.py", "exec"), {})
    assert told["words"] == ("forecast_nightly",) and told["schedule"] == "30 2 * * 1-5"
    assert told["start_date"][1] == "Europe/Berlin" and told["catchup"] is False and told["max_active_runs"] == 1
    assert (told["retries"], told["retry_delay"]) == (2, timedelta(seconds=45))
    assert told["execution_timeout"] == timedelta(hours=1) and told["skip_on_exit_code"] == 9
    command = jinja2.Template(told["bash_command"]).render(data_interval_end=datetime(2026, 3, 2, 1, 30, tzinfo=UTC))
    done = subprocess.run(["bash", "-c", command], check=False, env={"CODE": str(code), "PATH": "/usr/bin:/bin"})
    assert done.returncode == expected
    assert called(setup) == [
        setup.folder,
        "batch",
        "job=jobs/nightly.yaml",
        "model.name=a b",
        "as_of=2026-03-02T01:30:00+00:00",
    ]


@pytest.mark.parametrize(("code", "expected"), [(0, 0), (3, 0), (10, 0), (4, 4), (8, 8)])
def test_kubernetes_forbids_overlap_and_takes_part_success_for_success(setup: Setup, code: int, expected: int) -> None:
    job = yaml.safe_load(example("kubernetes", setup))
    assert (job["apiVersion"], job["kind"], job["metadata"]["name"]) == ("batch/v1", "CronJob", "forecast-nightly")
    spec, template = job["spec"], job["spec"]["jobTemplate"]["spec"]
    assert (spec["schedule"], spec["timeZone"], spec["concurrencyPolicy"]) == (
        "30 2 * * 1-5",
        "Europe/Berlin",
        "Forbid",
    )
    assert (template["backoffLimit"], template["activeDeadlineSeconds"]) == (2, 3600)
    pod = template["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["restartPolicy"] == "Never"  # podFailurePolicy needs it
    environment = {"CODE": str(code), "PATH": f"{setup.folder}:/usr/bin:/bin"}
    done = subprocess.run([*container["command"], *container["args"]], check=False, env=environment, cwd=setup.folder)
    assert done.returncode == expected
    assert called(setup)[1:] == ["batch", "job=jobs/nightly.yaml", "model.name=a b"]


def test_a_container_that_has_to_go_lets_its_run_stop(setup: Setup) -> None:
    """The shell gets the signal, the run too, and how that ends is how the container ends."""
    slow = 'trap "sleep 0.5; echo stopped > stopped; exit 143" TERM; echo ready; while :; do sleep 0.1; done'
    Path(setup.program).write_text(f"#!/bin/sh\n{slow}\n")
    (container,) = yaml.safe_load(example("kubernetes", setup))["spec"]["jobTemplate"]["spec"]["template"]["spec"][
        "containers"
    ]
    environment = {"PATH": f"{setup.folder}:/usr/bin:/bin"}
    shell = subprocess.Popen(
        [*container["command"], *container["args"]], env=environment, cwd=setup.folder, stdout=subprocess.PIPE
    )
    assert shell.stdout is not None and shell.stdout.readline() == b"ready\n"
    shell.terminate()
    assert shell.wait(60) == 143 and (Path(setup.folder) / "stopped").exists()
    shell.stdout.close()


def units(text: str, folder: Path) -> list[Path]:
    """The unit files in ``text``, each behind a comment with its name."""
    parts = re.split(r"^# (forecast-\S+)\n", text, flags=re.MULTILINE)[1:]
    paths = [folder / name for name in parts[::2]]
    for path, part in zip(paths, parts[1::2], strict=True):
        path.write_text(part)
    return paths


@pytest.mark.skipif(SYSTEMD is None, reason="systemd is not installed")
@pytest.mark.parametrize("kind", ["systemd", "service"])
def test_systemd_finds_no_fault_in_its_units(setup: Setup, tmp_path: Path, kind: str) -> None:
    for path in units(example(kind, setup), tmp_path):
        done = subprocess.run(
            [str(SYSTEMD), "verify", "--man=no", str(path)], capture_output=True, text=True, check=False
        )
        ours = [line for line in (done.stdout + done.stderr).splitlines() if "forecast-" in line]
        assert ours == [], done.stderr


def test_the_units_of_systemd_say_what_they_should(setup: Setup, tmp_path: Path) -> None:
    service, timer = units(example("systemd", setup), tmp_path)
    lines = service.read_text().splitlines()
    escaped = setup.folder.replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    assert f'ExecStart=/usr/bin/env "{escaped}/forecast" batch job=jobs/nightly.yaml "model.name=a b"' in lines
    assert f"WorkingDirectory={setup.folder.replace('%', '%%')}" in lines
    assert "Type=oneshot" in lines and "TimeoutStartSec=3600s" in lines and "SuccessExitStatus=3 9 10" in lines
    told = timer.read_text().splitlines()
    assert "OnCalendar=Mon,Tue,Wed,Thu,Fri *-*-* 02:30:00 Europe/Berlin" in told and "Persistent=true" in told
    (loop,) = units(example("service", setup), tmp_path)
    assert {"Type=notify", "KillMode=mixed", "Restart=always", "TimeoutStopSec=90s"} <= set(
        loop.read_text().splitlines()
    )


CALENDARS = [
    "30 2 * * *", "0 6 * * 1-5", "*/15 * * * *", "0 */6 * * *", "5,35 8-18 * * MON-FRI", "0 0 1 * *", "0 12 1,15 * *",
    "0 4 * 1,7 SUN", "0 0 13 * FRI", "30 5 1-7 * 1", "0 7 L * *", "@hourly", "@weekly", "@yearly", "0 9 */10 * 2",
]  # fmt: skip


@pytest.mark.skipif(SYSTEMD is None, reason="systemd is not installed")
@pytest.mark.parametrize("cron", CALENDARS)
def test_systemd_understands_a_schedule_as_it_was_meant(cron: str) -> None:
    schedule = Schedule(cron, "America/New_York")
    start = datetime(2026, 4, 1, 7, 7, tzinfo=UTC)
    base = f"--base-time={start:%Y-%m-%d %H:%M:%S} UTC"
    found: set[datetime] = set()
    for line in on_calendar(schedule):
        command = [str(SYSTEMD), "calendar", "--iterations=12", base, line]
        text = subprocess.run(
            command, capture_output=True, text=True, check=True, env={"TZ": "UTC", "LC_ALL": "C"}
        ).stdout
        stamps = re.findall(r"(?:Next elapse|\(in UTC\)|Iter\. #\d+): \w+ (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC", text)
        found |= {datetime.fromisoformat(stamp).replace(tzinfo=UTC) for stamp in stamps}
    assert len(found) >= 12
    change = datetime(2026, 11, 1, tzinfo=UTC)  # what happens then is each one's own
    last = min(sorted(found)[11], change)
    assert [slot for slot in sorted(found) if slot <= last] == schedule.due(start, last)


@pytest.mark.parametrize("cron", ["0 0 * * 1#2", "0 0 * * 5L", "0 0 LW * *", "0 0 L,5 * *"])
def test_what_a_scheduler_cannot_say_is_refused(cron: str) -> None:
    setup = Setup(("job=nightly",), "nightly", Schedule(cron), Policy(), "forecast", "/")
    for kind in ("cron", "systemd", "airflow", "kubernetes"):
        with pytest.raises(ConfigError, match="Use forecast schedule instead"):
            example(kind, setup)
    assert "ExecStart=forecast schedule job=nightly" in example("service", setup)


def test_another_kind_is_refused_with_those_there_are() -> None:
    setup = Setup(("job=nightly",), "nightly", Schedule("@daily"), Policy(), "forecast", "/")
    with pytest.raises(
        ConfigError, match=r"--print 'launchd': the kinds are cron, systemd, service, airflow, kubernetes"
    ):
        example("launchd", setup)
    assert all("None" not in example(kind, setup).replace("execution_timeout=None", "") for kind in EXAMPLES)
