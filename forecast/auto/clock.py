"""The time that `auto` may take."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

# Starting a process with torch and Lightning, and what comes after the last training.
START_SECONDS = 6.0
CLOSING_SECONDS = 4.0


@dataclass(frozen=True)
class Clock:
    """Seconds in all, counted from when it is made; ``None`` where steps alone bound the training."""

    seconds: float | None
    started: float = field(default_factory=time.monotonic)

    def elapsed(self) -> float:
        """Seconds so far."""
        return time.monotonic() - self.started

    def left(self) -> float:
        """Seconds to go before the closing work, at least 0; infinite without a limit."""
        if self.seconds is None:
            return float("inf")
        return max(0.0, self.seconds - min(CLOSING_SECONDS, 0.05 * self.seconds) - self.elapsed())

    def share(self, part: float) -> float:
        """``part`` of all seconds, or of what is left where that is less."""
        return float("inf") if self.seconds is None else min(part * self.seconds, self.left())
