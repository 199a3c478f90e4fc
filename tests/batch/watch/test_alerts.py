"""Exit codes, the order of alerts, and log lines that stay one line."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import pytest

from forecast.batch.watch.alerts import Alert, by_severity, deliver, exit_code
from forecast.batch.watch.facts import RunFacts
from forecast.batch.watch.settings import WatchSettings
from forecast.errors import ConfigError

FACTS = RunFacts("shop", datetime(2026, 3, 5, 6, tzinfo=UTC), "r", 1)


def test_only_what_somebody_should_look_at_changes_the_exit_code() -> None:
    info, warning, critical = (Alert("k", severity, "m") for severity in ("info", "warning", "critical"))
    assert exit_code([]) == exit_code([info]) == 0
    assert exit_code([info, warning]) == exit_code([critical]) == 10
    assert by_severity([info, critical, warning]) == [critical, warning, info]


def test_every_alert_is_a_line_of_the_log_at_its_own_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    alerts = [Alert("ids", "info", "a"), Alert("bias", "warning", "b"), Alert("stale", "critical", "c")]
    deliver(alerts, FACTS)
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "ERROR"]
    assert caplog.records[1].getMessage() == "shop 2026-03-05T06:00Z warning bias: b"


def test_a_log_line_stays_one_line_whatever_is_in_it(caplog: pytest.LogCaptureFixture) -> None:
    deliver([Alert("k", "warning", "a\nFAKE\r\x1b[31m\u2028" + "x" * 5000)], FACTS)
    text = caplog.records[0].getMessage()
    assert len(text.splitlines()) == 1
    assert text.isprintable()
    assert len(text) < 600


@pytest.mark.parametrize(
    "values",
    [
        {"recent": 0}, {"recent": 2.5}, {"reference": 1}, {"confidence": 1.0}, {"confidence": 0.1}, {"psi": float("nan")},
        {"psi": -1}, {"share": 1.5}, {"accuracy_ratio": 0.5}, {"cusum_limit": "5"}, {"runs": True}, {"nonsense": 1},
    ],
)  # fmt: skip
def test_senseless_limits_are_refused_by_name(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(values))):
        WatchSettings.of(values)


def test_limits_come_from_a_section_of_the_jobs_settings() -> None:
    assert WatchSettings.of({"recent": 5, "accuracy_ratio": 2}) == WatchSettings(recent=5, accuracy_ratio=2)
