"""Every model by name: ``from forecast.models import LSTM``, or ``create("lstm", hidden_size=32)``.

The list is the yaml files under ``conf/model`` and ``conf/baseline``: adding one there adds the model everywhere.
A class is imported when it is first asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from forecast.errors import ConfigError
from forecast.resources import conf_dir

GROUPS = ("model", "baseline")
OURS = re.compile(r"^forecast\.(nets|baselines)\.[a-z0-9_]+\.[A-Za-z][A-Za-z0-9]*$")


@dataclass(frozen=True)
class Entry:
    """One yaml: its name, the group it is in, and the class it configures."""

    name: str
    group: str
    path: Path
    target: str

    @property
    def class_name(self) -> str:
        """The class without its module."""
        return self.target.rpartition(".")[2]


@cache
def entries() -> dict[str, Entry]:
    """Every model by yaml name, nets first."""
    found = {}
    for group in GROUPS:
        for path in sorted((conf_dir() / group).glob("*.yaml")):
            match = re.search(r"^_target_:\s*(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)
            if match is None or not OURS.match(match[1]):
                raise ConfigError(f"{path.name}: _target_ must name a class under forecast.nets or forecast.baselines.")
            found[path.stem] = Entry(path.stem, group, path, match[1])
    return found


def class_named(name: str) -> type[Any]:
    """The model class called ``name`` ("LSTM"); only classes that a shipped yaml names can be had.

    Raises ``ConfigError`` for any other name.
    """
    for entry in entries().values():
        if entry.class_name == name:
            return _import(entry.target)
    known = sorted({entry.class_name for entry in entries().values()})
    raise ConfigError(f"no model class {name!r}.{_near(name, known)} Known: {', '.join(known)}.")


def name_of(model: object) -> str:
    """The name of the first yaml that configures this object's class; a class of one's own goes by its name.

    >>> from forecast.models import STLETS
    >>> name_of(STLETS())
    'stl_ets'
    """
    target = f"{type(model).__module__}.{type(model).__qualname__}"
    return next((entry.name for entry in entries().values() if entry.target == target), type(model).__name__.lower())


def create(name: str, **overrides: Any) -> Any:
    """The model that the yaml ``name`` describes, with some values replaced.

    Raises ``ConfigError`` for an unknown name or key.
    """
    entry = entries().get(name)
    if entry is None:
        raise ConfigError(f"no model {name!r}.{_near(name, list(entries()))} Known: {', '.join(entries())}.")
    import yaml

    config = yaml.safe_load(entry.path.read_text(encoding="utf-8"))
    return from_config({**config, **overrides})


def from_config(config: Mapping[str, Any]) -> Any:
    """The one way from configuration to object: ``_target_`` names one of our classes, the rest are its fields.

    Raises ``ConfigError`` naming every unknown key at once, or a target that is not ours.
    """
    target = config.get("_target_")
    if not isinstance(target, str) or target not in {entry.target for entry in entries().values()}:
        raise ConfigError(f"_target_={target!r} is not one of our models: {', '.join(sorted(entries()))}.")
    cls = _import(target)
    values = {key: _frozen(value) for key, value in config.items() if key != "_target_"}
    return build(cls, values)


def build(cls: type[Any], values: Mapping[str, Any]) -> Any:
    """``cls(**values)`` for one of our dataclasses, with every unknown key named.

    Raises ``ConfigError``; values of the wrong type are named with what was expected.
    """
    if not is_dataclass(cls):
        raise ConfigError(f"{cls.__name__} cannot be configured.")
    known = [f.name for f in fields(cls)]
    unknown = [f"{key!r}{_near(str(key), known)}" for key in values if key not in known]
    if unknown:
        raise ConfigError(f"{cls.__name__} has no {', '.join(unknown)}. It takes {', '.join(known)}.")
    wrong = [
        f"{f.name}={values[f.name]!r} (expected {f.type})"
        for f in fields(cls)
        if f.name in values and not _fits(values[f.name], str(f.type))
    ]
    if wrong:
        raise ConfigError(f"{cls.__name__}: {', '.join(wrong)}.")
    return cls(**values)


def _fits(value: Any, annotation: str) -> bool:
    """Whether a plain value matches a simple annotation; what cannot be told is let through."""
    options = [option.strip() for option in annotation.split("|")]
    simple = {"int": int, "float": (int, float), "str": str, "bool": bool, "None": type(None)}
    if isinstance(value, bool):
        return "bool" in options or not set(options) <= set(simple)
    if any(option not in simple for option in options):
        return not (isinstance(value, str) and any(option.startswith(("tuple", "list")) for option in options))
    return any(isinstance(value, simple[option]) for option in options)  # type: ignore[arg-type]


def _frozen(value: Any) -> Any:
    """Lists become tuples, so that dataclasses stay hashable."""
    return tuple(_frozen(item) for item in value) if isinstance(value, (list, tuple)) else value


def _near(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=2, cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


def _import(target: str) -> type[Any]:
    module, _, name = target.rpartition(".")
    cls: type[Any] = getattr(import_module(module), name)
    return cls


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return class_named(name)
    except ConfigError as error:
        raise AttributeError(str(error)) from None


def __dir__() -> list[str]:
    return sorted({entry.class_name for entry in entries().values()} | set(globals()))
