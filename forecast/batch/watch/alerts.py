"""What the watch raises its voice about, and how it reaches people: exit code, log line, webhook."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from forecast.batch.watch.facts import RunFacts

if TYPE_CHECKING:
    from forecast.batch.watch.webhook import Delivery, Webhook

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
ALERTED = 10
LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "critical": logging.ERROR}
LONGEST_LOG = 500
log = logging.getLogger("forecast.batch.watch")


@dataclass(frozen=True)
class Alert:
    """Something that somebody should look at, or know.

    Attributes:
        kind: what about: ``accuracy``, ``coverage``, ``bias``, ``stale``, ``missing``, ``range``, ``shift``, ``ids``,
            ``fallback``, ``watch``.
        severity: ``info`` does not change the exit code, ``warning`` and ``critical`` do.
        message: one sentence with what was found and the way out; whatever comes from outside is escaped in it.
        where: the series, level or step it is about; empty for the whole job.
        value, limit: the number and what it was held against; ``None`` where there is none.
    """

    kind: str
    severity: Severity
    message: str
    where: str = ""
    value: float | None = None
    limit: float | None = None

    @property
    def text(self) -> str:
        """One line: ``warning accuracy: …``."""
        return f"{self.severity} {self.kind}: {self.message}"

    def facts(self) -> dict[str, Any]:
        """Plain values for JSON, which knows neither NaN nor infinity."""
        plain = {"kind": self.kind, "severity": self.severity, "message": self.message, "where": self.where}
        return plain | {"value": _plain(self.value), "limit": _plain(self.limit)}


def _plain(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def exit_code(alerts: Sequence[Alert]) -> int:
    """10 when somebody should look, else 0: what is only good to know does not count."""
    return ALERTED if any(alert.severity != "info" for alert in alerts) else 0


def by_severity(alerts: Sequence[Alert]) -> list[Alert]:
    """The worst first, otherwise in their order."""
    return sorted(alerts, key=lambda alert: -SEVERITIES.index(alert.severity))


def deliver(alerts: Sequence[Alert], facts: RunFacts, webhook: Webhook | None = None) -> Delivery | None:
    """Write every alert to the log and, when one is more than good to know, post them all to ``webhook``.

    Returns what became of the post, ``None`` when there was nothing to post. Never raises for a webhook that refuses:
    the forecasts are out, and that nobody was told is a line in the log.
    """
    name = f"{facts.job} {facts.slot:%Y-%m-%dT%H:%MZ}"
    for alert in alerts:
        log.log(LEVELS[alert.severity], "%s %s", name, _line(alert.text))
    if webhook is None or exit_code(alerts) == 0:
        return None
    delivery = webhook.post(payload(alerts, facts), key=f"{facts.job}-{facts.slot:%Y%m%dT%H%M%S}-{facts.run}")
    if not delivery.delivered:
        log.warning("%s the webhook %s did not take the alerts: %s", name, webhook.shown, delivery.problem)
    return delivery


def payload(alerts: Sequence[Alert], facts: RunFacts) -> Mapping[str, Any]:
    """What a webhook is sent: ``text`` for chat programs, the rest for programs that count."""
    ordered = by_severity(alerts)
    lines = "\n".join(alert.text for alert in ordered)
    return {
        "text": f"{facts.job} {facts.slot:%Y-%m-%d %H:%M} UTC: {len(ordered)} alerts\n{lines}",
        "job": facts.job,
        "slot": facts.slot.isoformat(),
        "run": facts.run,
        "version": facts.version,
        "state": facts.state,
        "alerts": [alert.facts() for alert in ordered],
    }


def _line(text: str) -> str:
    """``text`` as one line of a log: no control characters, not endless."""
    shown = "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)
    return shown if len(shown) <= LONGEST_LOG else shown[: LONGEST_LOG - 1] + "…"
