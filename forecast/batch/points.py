"""Places where a test may strike: a run says where it has got to, and nobody listens outside the tests."""

from __future__ import annotations

from collections.abc import Callable

listener: Callable[[str], None] | None = None


def reached(point: str) -> None:
    """Say that the run is at ``point``, "sink.staged" for example."""
    if listener is not None:
        listener(point)
