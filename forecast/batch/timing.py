"""How long each part of a run took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Timings:
    """Seconds by part, by a clock that never jumps."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time the block as ``name``; several blocks of one name add up."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(self.seconds.get(name, 0.0) + time.monotonic() - begun, 3)

    def has(self, name: str) -> bool:
        """Whether the part has begun and ended."""
        return name in self.seconds

    @property
    def text(self) -> str:
        """The parts that took longest, in words: ``3.4 s: forecast 2.1, read 1.0, stage 0.3``."""
        longest = sorted(self.seconds.items(), key=lambda part: -part[1])
        told = ", ".join(f"{name} {seconds:.1f}" for name, seconds in longest if seconds >= 0.05)
        return f"{sum(self.seconds.values()):.1f} s" + (f": {told}" if told else "")
