"""Checks of hyper-parameters that several architectures share."""

from __future__ import annotations

from forecast.errors import ConfigError


def at_least_one(**sizes: int) -> None:
    """Raise ``ConfigError`` naming every size below 1."""
    wrong = [f"{name}={size}" for name, size in sizes.items() if size < 1]
    if wrong:
        raise ConfigError(f"{', '.join(wrong)}: must be at least 1.")
