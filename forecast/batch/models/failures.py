"""What a model may raise that must not stop a job: everything but a bug of the job itself and the user's Ctrl-C."""

from __future__ import annotations

from forecast.errors import ConfigError, ForecastError, NotFittedError, printable

# LinAlgError and torch's errors are among them: a ValueError and RuntimeErrors.
FAILURES: tuple[type[Exception], ...] = (
    ForecastError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
LONGEST = 240


def in_words(error: BaseException) -> str:
    """The first line of what ``error`` says; for errors that are not ours with their kind in front."""
    text = str(error).strip().partition("\n")[0]
    text = "".join(char if char.isprintable() else " " for char in text)
    text = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    if isinstance(error, ForecastError):
        return text or type(error).__name__
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def hopeless(error: BaseException) -> bool:
    """Whether asking about other series would end the same way: it is the settings, not the data."""
    return isinstance(error, (ConfigError, NotFittedError, AttributeError))


def shown(value: object) -> str:
    """``value`` for a reason: our own words as they are, anything else escaped."""
    return value if isinstance(value, str) and value.isprintable() else printable(value, LONGEST)
