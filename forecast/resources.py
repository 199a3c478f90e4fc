"""Where the yaml and the tables that ship with the package lie on disk."""

from __future__ import annotations

from pathlib import Path

from forecast.errors import ConfigError

PACKAGE = Path(__file__).resolve().parent


def conf_dir() -> Path:
    """The folder ``conf/`` with the yaml of every command, as an absolute path.

    Raises ``ConfigError`` when the installation has none.
    """
    return find("conf", "*.yaml")


def datasets_dir() -> Path:
    """The folder ``datasets/`` with the data set cards and the small shipped tables, as an absolute path.

    Raises ``ConfigError`` when the installation has none.
    """
    return find("datasets", "airpassengers.yaml")


def find(folder: str, marker: str, package: Path = PACKAGE) -> Path:
    """``folder`` inside the package (a wheel) or else beside it (a checkout); it must hold a ``marker`` file.

    The marker matters: beside an installed package lies site-packages, where a folder of the same name belongs to
    somebody else.
    """
    for candidate in (package / folder, package.parent / folder):
        if any(candidate.glob(marker)):
            return candidate
    raise ConfigError(
        f"The folder {folder}/ that ships with forecast is neither in {package} nor in {package.parent}. "
        "The installation is incomplete: install the package again."
    )
