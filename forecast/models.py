"""Every model by name: ``from forecast.models import LSTM``, or ``create("lstm", hidden_size=32)``.

The list is the yaml files under ``conf/model`` and ``conf/baseline``: adding one there adds the model everywhere.
A class is imported when it is first asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecast.errors import ConfigError
from forecast.resources import conf_dir

if TYPE_CHECKING:
    from forecast.model import Model
    from forecast.training.settings import Training

# Far beyond any net in use; what is larger is a slip of the finger, or forged.
LARGEST_SIZE = 1_000_000
SIZES = frozenset(
    {"input_size", "hidden_size", "num_layers", "heads", "kernel", "segment", "season", "skip_size", "forks"}
    | {"context_size", "local_size", "dilations", "season_length", "max_length"}
)
SHARES = frozenset(("dropout", "teacher_forcing"))
GROUPS = ("model", "baseline")
OURS = re.compile(r"^forecast\.((nets|baselines|auto)\.[a-z0-9_]+|ensemble)\.[A-Za-z][A-Za-z0-9]*$")


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

    @property
    def is_net(self) -> bool:
        """Whether it configures an architecture, not a baseline or an ensemble."""
        return self.target.startswith("forecast.nets.")


@cache
def entries() -> dict[str, Entry]:
    """Every model by yaml name, nets first."""
    found = {}
    for group in GROUPS:
        for path in sorted((conf_dir() / group).glob("*.yaml")):
            match = re.search(r"^_target_:\s*(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)
            if match is None or not OURS.match(match[1]):
                raise ConfigError(
                    f"{path.name}: _target_ must name a class of forecast.nets, baselines, ensemble or auto."
                )
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

    A model made of another one says by ``goes_by`` what it is called.

    >>> from forecast.models import STLETS
    >>> name_of(STLETS())
    'stl_ets'
    """
    own = getattr(model, "goes_by", None)
    if isinstance(own, str):
        return own
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


def as_model(spec: Any, name: str, training: Training) -> Model:
    """A fittable model from a model's name or an object of ours; nets and ensembles train by ``training``.

    ``name`` is what the model is called in messages. Raises ``ConfigError`` for anything else.
    """
    if isinstance(spec, type):
        raise ConfigError(f"model={spec.__name__} is a class, not an object. Call it: {spec.__name__}(…).")
    from forecast.model import Model  # brings pandas, which listing models does without

    built = create(spec) if isinstance(spec, str) else spec
    if isinstance(built, Model):
        return built
    if hasattr(built, "trained_by"):
        model: Model = built.trained_by(training, name)
        return model
    if hasattr(built, "build"):
        from forecast.training.neural import Neural

        if training.stateful:
            _check_stateful(built, name)
        if getattr(built, "likelihood", None):
            from forecast.nets.likely import check_likelihood

            check_likelihood(check_architecture(built), name, stateful=training.stateful, revin=training.revin)
        if training.revin:
            from forecast.nets.revin import check_reversible

            check_reversible(built, name, stateful=training.stateful)
        return Neural(check_architecture(built), training, name)
    raise ConfigError(f"model={built!r} is neither a model's name nor an object of forecast.models.")


def _check_stateful(architecture: object, name: str) -> None:
    """Raise ``ConfigError``, naming the nets that can, when ``architecture`` cannot be trained along whole series."""
    from forecast.nets.stream import why_not

    reason = why_not(architecture)
    if reason:
        nets = [entry for entry in entries().values() if entry.target.startswith("forecast.nets.")]
        able = ", ".join(entry.name for entry in nets if not why_not(class_named(entry.class_name)()))
        raise ConfigError(
            f"{name}: {type(architecture).__name__} cannot be trained with stateful=true: {reason}. Use one of {able}, "
            "or train it on windows."
        )


def from_config(config: Mapping[str, Any]) -> Any:
    """The one way from configuration to object: ``_target_`` names one of our classes, the rest are its fields.

    Raises ``ConfigError`` naming every unknown key at once, or a target that is not ours.
    """
    target = config.get("_target_")
    if not isinstance(target, str) or target not in {entry.target for entry in entries().values()}:
        raise ConfigError(f"_target_={target!r} is not one of our models: {', '.join(sorted(entries()))}.")
    cls = _import(target)
    values = {key: plain(value) for key, value in config.items() if key != "_target_"}
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
        why = f" {cls.no_likelihood}" if "likelihood" in values and hasattr(cls, "no_likelihood") else ""
        raise ConfigError(f"{cls.__name__} has no {', '.join(unknown)}.{why} It takes {', '.join(known)}.")
    check_types(cls, values)
    return cls(**values)


def check_types(cls: type[Any], values: Mapping[str, Any]) -> None:
    """Raise ``ConfigError`` naming every value whose type is not the one that the dataclass ``cls`` states."""
    wrong = [
        f"{f.name}={values[f.name]!r} (expected {f.type})"
        for f in fields(cls)
        if f.name in values and not _fits(values[f.name], str(f.type))
    ]
    if wrong:
        raise ConfigError(f"{cls.__name__}: {', '.join(wrong)}.")


def check_architecture(spec: Any) -> Any:
    """``spec`` with plain values (no numpy scalars, tuples for lists), checked by the names of its fields.

    Sizes are whole numbers from 1 to a million, shares lie within 0 … 1, quantiles strictly within. An object that
    is no dataclass is let through. Raises ``ConfigError`` naming every value that cannot be used.
    """
    if not is_dataclass(spec) or isinstance(spec, type):
        return spec
    given = {f.name: getattr(spec, f.name) for f in fields(spec) if f.init}
    values = {key: plain(value) for key, value in given.items()}
    check_types(type(spec), values)
    wrong = [f"{key}={value!r} ({rule})" for key, value in values.items() if (rule := _broken_rule(key, value))]
    if wrong:
        raise ConfigError(f"{type(spec).__name__}: {', '.join(wrong)}.")
    changed = {
        key: value for key, value in values.items() if type(value) is not type(given[key]) or value != given[key]
    }
    return replace(spec, **changed) if changed else spec


def _broken_rule(key: str, value: Any) -> str:
    """What a hyper-parameter should have been, or nothing when it is right."""
    items = value if isinstance(value, tuple) else (value,)
    numbers = [v for v in items if isinstance(v, (int, float)) and not isinstance(v, bool)]
    if key == "quantiles":
        inside = isinstance(value, tuple) and len(numbers) == len(value) == len(set(value))
        ok = inside and all(0 < v < 1 for v in numbers)
        return "" if ok else "different numbers strictly between 0 and 1, for example (0.1, 0.9)"
    if key in SIZES and not all(1 <= v <= LARGEST_SIZE for v in numbers):
        return f"whole numbers from 1 to {LARGEST_SIZE:,}"
    if key in SHARES and not all(0 <= v <= 1 for v in numbers):
        return "from 0 to 1"
    return "" if all(abs(v) <= LARGEST_SIZE for v in numbers) else f"beyond {LARGEST_SIZE:,}"


def named_training(name: str) -> Any:
    """The training settings that the yaml ``name`` under ``conf/trainer`` holds; what it leaves out has its default.

    Raises ``ConfigError`` for an unknown name.
    """
    import yaml

    from forecast.training.settings import Training

    paths = {path.stem: path for path in sorted((conf_dir() / "trainer").glob("*.yaml"))}
    if name not in paths:
        raise ConfigError(f"no training settings {name!r}.{_near(name, list(paths))} Known: {', '.join(paths)}.")
    config = yaml.safe_load(paths[name].read_text(encoding="utf-8"))
    return build(Training, {key: value for key, value in config.items() if key != "defaults"})


def plain(value: Any) -> Any:
    """``value`` without numpy: scalars become Python's own, lists and arrays become tuples."""
    if type(value).__module__ == "numpy":  # told without importing numpy: the command's help comes through here
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return tuple(plain(item) for item in value)
    return value


def _fits(value: Any, annotation: str) -> bool:
    """Whether a plain value matches a simple annotation; what cannot be told is let through."""
    options = [option.strip() for option in annotation.split("|")]
    simple = {"int": int, "float": (int, float), "str": str, "bool": bool, "None": type(None)}
    if isinstance(value, bool):
        return "bool" in options or not set(options) <= set(simple)
    if any(option not in simple for option in options):
        listed = any(option.startswith(("tuple", "list")) for option in options)
        return "str" in options or not (isinstance(value, str) and listed)
    return any(isinstance(value, simple[option]) for option in options)  # type: ignore[arg-type]


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
