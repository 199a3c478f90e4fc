"""Ready texts for those who let something else do the scheduling: cron, systemd, Airflow, Kubernetes."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from forecast.batch.misfire import Policy
from forecast.batch.slots import EVERY_HOUR, NAMES, Schedule
from forecast.errors import ConfigError, printable

DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Setup:
    """What an example is about.

    Attributes:
        words: ``job=…`` and other settings of the command.
        name: the job's name.
        schedule, policy: when it runs, and how long it may.
        program: the ``forecast`` command.
        folder: where it is started.
    """

    words: tuple[str, ...]
    name: str
    schedule: Schedule
    policy: Policy
    program: str
    folder: str


def example(kind: str, setup: Setup) -> str:
    """The text for ``kind``: cron, systemd, service, airflow or kubernetes.

    Raises ``ConfigError`` for another kind, and for a schedule that it cannot express.
    """
    if kind not in EXAMPLES:
        raise ConfigError(f"--print {printable(kind)}: the kinds are {', '.join(EXAMPLES)}.")
    return EXAMPLES[kind](setup)


def cron(setup: Setup) -> str:
    """A line of a crontab."""
    log = shlex.quote(f"{setup.name}.log")
    command = f"cd {shlex.quote(setup.folder)} && {_words(setup)} >> {log} 2>&1"
    zone = setup.schedule.zone
    return (
        f"# The clock of cron must be that of {zone}; cronie takes a line CRON_TZ={zone} above this one.\n"
        f"{_plain_cron(setup.schedule)}  {command.replace('%', chr(92) + '%')}\n"
    )


def systemd(setup: Setup) -> str:
    """A service that runs once, and the timer that starts it."""
    limit = "infinity" if setup.policy.max_runtime is None else f"{setup.policy.max_runtime:g}s"
    zone = setup.schedule.zone
    gap = (
        ""
        if zone == "UTC"
        else f"# systemd leaves out a time that the clocks of {zone} skip; forecast schedule does not.\n"
    )
    calendar = gap + "\n".join(f"OnCalendar={line}" for line in on_calendar(setup.schedule))
    return f"""\
# forecast-{setup.name}.service
[Unit]
Description=Forecasts of {setup.name}
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
WorkingDirectory={setup.folder.replace("%", "%%")}
ExecStart={_unit_words(setup, "batch")}
# 3: some series by fallback, 9: somebody else runs it, 10: done with alerts.
SuccessExitStatus=3 9 10
TimeoutStartSec={limit}
TimeoutStopSec={setup.policy.stop_grace:g}s

# forecast-{setup.name}.timer
[Unit]
Description=When the forecasts of {setup.name} are due

[Timer]
{calendar}
Persistent=true

[Install]
WantedBy=timers.target
"""


def service(setup: Setup) -> str:
    """A service for ``forecast schedule``, under systemd's watchdog."""
    return f"""\
# forecast-schedule.service
[Unit]
Description=Scheduler of forecasts
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
WorkingDirectory={setup.folder.replace("%", "%%")}
ExecStart={_unit_words(setup, "schedule")}
Restart=always
RestartSec=10s
WatchdogSec=600s
# Runs are told by the scheduler, and waited for.
KillMode=mixed
TimeoutStopSec={setup.policy.stop_grace + 30:g}s
SuccessExitStatus=130 143

[Install]
WantedBy=multi-user.target
"""


def airflow(setup: Setup) -> str:
    """A DAG of one task."""
    run = f"cd {shlex.quote(setup.folder)} && {_words(setup)} as_of={{{{ data_interval_end.isoformat() }}}}"
    command = f"{run}; code=$?; case $code in 3|10) exit 0;; esac; exit $code"
    timeout = f"timedelta(seconds={setup.policy.max_runtime:g})" if setup.policy.max_runtime is not None else "None"
    return f"""\
from datetime import timedelta

import pendulum
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG  # before Airflow 3: from airflow import DAG

with DAG(
    {f"forecast_{setup.name}"!r},
    schedule={_plain_cron(setup.schedule)!r},
    start_date=pendulum.datetime(2026, 1, 1, tz={setup.schedule.zone!r}),
    catchup={setup.policy.catchup == "all"},
    max_active_runs=1,
):
    BashOperator(
        task_id="batch",
        bash_command={command!r},
        skip_on_exit_code=9,  # somebody else runs this slot
        retries={setup.policy.retries},
        retry_delay=timedelta(seconds={setup.policy.backoff:g}),
        retry_exponential_backoff=True,
        execution_timeout={timeout},
    )
"""


def kubernetes(setup: Setup) -> str:
    """A CronJob. Its clock needs Kubernetes 1.27."""
    limit = (
        "" if setup.policy.max_runtime is None else f"\n      activeDeadlineSeconds: {round(setup.policy.max_runtime)}"
    )
    # A shell that is the first process of a container passes no signal on by itself, and its wait ends with the first.
    wait = "wait $run; code=$?; while kill -0 $run 2>&-; do wait $run; code=$?; done"
    passing = f"{shlex.join(['forecast', 'batch', *setup.words])} & run=$!; trap 'kill $run' TERM; {wait}"
    command = f"{passing}; case $code in 3|10) exit 0;; esac; exit $code"
    name = "forecast-" + "".join(sign if sign.isalnum() else "-" for sign in setup.name.lower()).strip("-")[:40]
    return f"""\
apiVersion: batch/v1
kind: CronJob
metadata:
  name: {name}
spec:
  schedule: {json.dumps(_plain_cron(setup.schedule))}
  timeZone: {json.dumps("Etc/UTC" if setup.schedule.zone == "UTC" else setup.schedule.zone)}
  concurrencyPolicy: Forbid
  startingDeadlineSeconds: {DAY_SECONDS}
  jobTemplate:
    spec:
      backoffLimit: {setup.policy.retries}{limit}
      podFailurePolicy:
        rules:
          - action: FailJob  # settings, data, training or model at fault: again would be the same
            onExitCodes: {{operator: In, values: [2, 4, 5, 6]}}
      template:
        spec:
          restartPolicy: Never
          terminationGracePeriodSeconds: {round(setup.policy.stop_grace)}
          containers:
            - name: forecast
              image: your-registry/forecast:tag
              command: ["/bin/sh", "-c"]
              args: [{json.dumps(command)}]
              envFrom: [{{secretRef: {{name: forecast-database}}}}]
"""


EXAMPLES: dict[str, Callable[[Setup], str]] = {
    "cron": cron,
    "systemd": systemd,
    "service": service,
    "airflow": airflow,
    "kubernetes": kubernetes,
}


def on_calendar(schedule: Schedule) -> list[str]:
    """What systemd calls the schedule; two lines where cron means either of two kinds of days.

    Raises ``ConfigError`` for what systemd cannot say: the n-th weekday of a month.

    >>> on_calendar(Schedule("30 2 * * 1-5", "Europe/Berlin"))
    ['Mon,Tue,Wed,Thu,Fri *-*-* 02:30:00 Europe/Berlin']
    """
    from cronsim import CronSim

    parsed = CronSim(_fields(schedule), datetime(2000, 1, 1))
    days, weekdays = parsed.days, {day if isinstance(day, tuple) else day % 7 for day in parsed.weekdays}
    named = [DAYS[day] for day in sorted(day for day in weekdays if isinstance(day, int))]
    odd = len(named) < len(weekdays) or CronSim.LAST_WEEKDAY in days
    if odd or (CronSim.LAST in days and len(days) > 1):
        raise ConfigError(f"{schedule}: systemd has no word for this. Use forecast schedule instead.")
    time = f"{_numbers(parsed.hours, EVERY_HOUR)}:{_numbers(parsed.minutes, range(60))}:00 {schedule.zone}"
    months = _numbers(parsed.months, range(1, 13))
    date = f"*-{months}~01" if CronSim.LAST in days else f"*-{months}-{_numbers(days, range(1, 32))}"
    week = "" if len(named) == 7 else f"{','.join(named)} "
    if parsed.day_and or not week:
        return [f"{week}{date} {time}"]
    return [f"{date} {time}", f"{week}*-{months}-* {time}"]


def _numbers(chosen: set[int], every: range | frozenset[int]) -> str:
    return "*" if chosen >= set(every) else ",".join(f"{number:02d}" for number in sorted(chosen))


def _fields(schedule: Schedule) -> str:
    return NAMES.get(schedule.cron.strip().lower(), schedule.cron)


def _plain_cron(schedule: Schedule) -> str:
    """The five fields as every cron reads them. Raises ``ConfigError`` for what not all know."""
    fields = " ".join(_fields(schedule).split())
    if "L" in fields.split()[2].upper() or any(sign in fields.split()[4].upper() for sign in "L#"):
        raise ConfigError(f"{schedule}: L and # are not known to every cron. Use forecast schedule instead.")
    return fields


def _words(setup: Setup) -> str:
    return shlex.join([setup.program, "batch", *setup.words])


def _unit_words(setup: Setup, command: str) -> str:
    """A command as a unit file has it. The name of a program can be no odd one there, but a word of env's can."""
    plain = re.fullmatch(r"[A-Za-z0-9/._+-]+", setup.program)
    words = [*([] if plain else ["/usr/bin/env"]), setup.program, command, *setup.words]
    return " ".join(_unit_word(word) for word in words)


def _unit_word(word: str) -> str:
    """A word of a command in a unit file."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if any(sign.isspace() or sign in "\"'\\;" for sign in word) else escaped
