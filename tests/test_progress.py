"""Progress: a bar on a terminal, few lines in a log, nothing when silenced."""

from __future__ import annotations

import io

from forecast.progress import progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_at_most_every_ten_seconds():
    stream, times = io.StringIO(), iter([0.0, 4.0, 11.0, 15.0, 22.0])
    with progress("ets", 8, stream=stream, clock=lambda: next(times)) as advance:
        for _ in range(4):
            advance(2)
    assert stream.getvalue().splitlines() == ["ets: 4/8 (50 %), 11 s", "ets: 8/8 (100 %), 22 s"]


def test_a_terminal_gets_a_bar_that_disappears():
    stream = Terminal()
    with progress("ets", 3, stream=stream) as advance:
        advance(3)
    assert "ets" in stream.getvalue()


def test_silence_writes_nothing():
    stream = Terminal()
    with progress("ets", 3, enabled=False, stream=stream) as advance:
        advance(3)
    assert stream.getvalue() == ""


def test_no_work_is_no_progress():
    stream = Terminal()
    with progress("ets", 0, stream=stream) as advance:
        advance(0)
    assert stream.getvalue() == ""
