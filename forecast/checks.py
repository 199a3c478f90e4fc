"""Numbers and switches that somebody gave, checked."""

from __future__ import annotations

from typing import Any

import numpy as np

from forecast.errors import ConfigError


def whole_number(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    """``value`` as an int. Raises ``ConfigError`` unless it is a whole number from ``least`` to ``most``."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        bound = f"of at least {least}" if most is None else f"from {least} to {most:,}"
        raise ConfigError(f"{name}={value!r} must be a whole number {bound}.")
    return int(value)


def truth(name: str, value: Any) -> bool:
    """``value`` as a bool. Raises ``ConfigError`` for anything else: the word "no" would count as true."""
    if not isinstance(value, (bool, np.bool_)):
        raise ConfigError(f"{name}={value!r} must be true or false.")
    return bool(value)
