"""``forecast data inspect``: its arguments, and what it prints and writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from forecast.atomic import as_storage_errors, write_text
from forecast.errors import ConfigError, DataError, exit_code, printable
from forecast.ingest import catalog
from forecast.ingest.inspection import as_data_set, inspect

SETTINGS = ("id_col", "time_col", "target_col", "freq", "output")


def inspect_command(words: Sequence[str], tell: Callable[[str], None]) -> int:
    """Tell what is in a file or data set; ``words`` are its name and settings. Returns the exit code.

    That is 4 where the table has faults. Raises ``ConfigError`` for settings that are none, ``StorageError`` for an
    output that cannot be written, and what :func:`~forecast.ingest.inspection.inspect` raises.
    """
    name, *settings = words
    options = _options(settings)
    output = options.pop("output", None)
    known = name in catalog.cards()
    found = inspect(catalog.load(name) if known else name, **options)
    if known:
        found = as_data_set(found, name)
    tell(found.text)
    if output is not None:
        text = found.yaml
        with as_storage_errors(Path(output), len(text)):
            write_text(output, text)
    return exit_code(DataError(found.faults)) if found.faults else 0


def _options(settings: Sequence[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for setting in settings:
        key, _, value = setting.partition("=")
        if key not in SETTINGS or not value:
            known = ", ".join(f"{name}=" for name in SETTINGS)
            raise ConfigError(f"forecast data inspect has no setting {printable(setting)}. It has {known}.")
        options[key] = int(value) if key == "freq" and value.isdecimal() else value
    return options
