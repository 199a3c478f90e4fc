"""A job's yaml file and the key=value settings of the command line, merged into one plain mapping.

The file is read more strictly than yaml would have it: text stays text (``02:30``, ``no``, ``2026-01-31``), a key that
stands twice, an alias or a tag is refused, and every key must be one of ``conf/batch/default.yaml``, which lists them
all. ``${oc.env:NAME}`` and ``${oc.env:NAME,default}`` in a value stand for an environment variable; what is stored of
the settings keeps them as they were written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from forecast.batch.ledger.masking import VARIABLE, masked, scrubbed
from forecast.errors import ConfigError, printable
from forecast.resources import conf_dir

LARGEST_FILE = 2**20
DEEPEST = 20
JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
# What yaml 1.2 takes for a number or a truth value, and nothing else: 1:30, 007, no and 2026-01-31 stay text.
FLOAT = r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?\Z|[-+]?[0-9]+[eE][-+]?[0-9]+\Z"
SCALARS = (
    ("tag:yaml.org,2002:int", re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z"), "-+0123456789"),
    ("tag:yaml.org,2002:float", re.compile(FLOAT), "-+.0123456789"),
    ("tag:yaml.org,2002:bool", re.compile(r"(?:true|false|True|False)\Z"), "tTfF"),
    ("tag:yaml.org,2002:null", re.compile(r"(?:null|Null|NULL|~|)\Z"), ["n", "N", "~", ""]),
)


@dataclass(frozen=True)
class Settings:
    """Every setting of a job, by section.

    Attributes:
        name: of the job: what the file says, else the file's own name.
        values: with the environment's variables put in; may hold secrets, so it is never written anywhere.
        shown: as written, variables unresolved and secrets masked; for the ledger, logs and files.
    """

    name: str
    values: dict[str, Any]
    shown: dict[str, Any]


def job_settings(job: str | Path, overrides: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of the job ``job``, a path or a name, with dotted ``key=value`` overrides.

    A name is looked up as ``conf/batch/NAME.yaml`` below the current folder, then as ``NAME.yaml`` in the folder that
    ``$FORECAST_JOBS`` names, then among the examples that ship with the package.

    Raises ``ConfigError`` for a file that is not there or is no yaml, and naming every unknown key and unset variable
    at once.
    """
    environ = os.environ if environ is None else environ
    path = find_job(str(job), environ)
    given = read_yaml(path)
    for override in overrides:
        _override(given, override)
    return from_mapping(given, path.stem, environ, str(path))


def from_mapping(
    given: Mapping[str, Any], name: str, environ: Mapping[str, str] | None = None, where: str = "the job"
) -> Settings:
    """The settings of a mapping such as a job's file holds; what it leaves out has its default."""
    unknown: list[str] = []
    merged = _merged(default_settings(), given, "", unknown)
    if unknown:
        raise ConfigError(f"{printable(where, 200)}: no setting {', '.join(unknown)}. See conf/batch/default.yaml.")
    name = merged["name"] if merged["name"] is not None else name
    if not isinstance(name, str) or not JOB_NAME.fullmatch(name):
        raise ConfigError(f"name={printable(name)}: letters, digits, '-', '_' and '.', at most 64, a letter first.")
    merged["name"] = name
    unset: list[str] = []
    values = _resolved(merged, os.environ if environ is None else environ, unset)
    if unset:
        raise ConfigError(f"{printable(where, 200)} refers to unset environment variables: {', '.join(unset)}.")
    return Settings(name, values, scrubbed(merged))


def default_settings() -> dict[str, Any]:
    """What ``conf/batch/default.yaml`` holds: every key with its default."""
    return read_yaml(conf_dir() / "batch" / "default.yaml")


def find_job(job: str, environ: Mapping[str, str]) -> Path:
    """Where the file of ``job`` is. Raises ``ConfigError`` naming the places that were looked at."""
    if "/" in job or os.sep in job or job.endswith((".yaml", ".yml")):
        places = [Path(job)]
    elif JOB_NAME.fullmatch(job):
        folders = [Path("conf", "batch"), *([Path(environ["FORECAST_JOBS"])] if environ.get("FORECAST_JOBS") else [])]
        places = [folder / f"{job}.yaml" for folder in (*folders, conf_dir() / "batch")]
    else:
        raise ConfigError(f"job={printable(job)} is neither the path of a yaml file nor the name of a job.")
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        looked = ", ".join(printable(str(place), 200) for place in places)
        raise ConfigError(
            f"no job {printable(job, 200)}: there is no file {looked}. Pass job=PATH.yaml, or set FORECAST_JOBS to "
            "the folder of your jobs."
        )
    return found


class _Loader(yaml.SafeLoader):
    """Plain values only: no alias, no tag, no key twice."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - yaml's own way

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise yaml.MarkedYAMLError(problem="anchors and aliases are not taken", problem_mark=event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.value in seen:
                raise yaml.MarkedYAMLError(problem="a key stands twice, or is no text", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in SCALARS:
    _Loader.add_implicit_resolver(_tag, _pattern, list(_first))


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a yaml file holds. Raises ``ConfigError`` telling the line, never what stands in it."""
    try:
        size = path.stat().st_size
        text = path.read_text(encoding="utf-8") if size <= LARGEST_FILE else None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(f"{printable(str(path), 200)} cannot be read: {reason}.") from error
    if text is None:
        raise ConfigError(f"{printable(str(path), 200)} has {size:,} bytes; no job's file is that large.")
    values = parse(text, printable(str(path), 200))
    if not isinstance(values, (dict, type(None))):
        raise ConfigError(f"{printable(str(path), 200)} must hold key: value lines, one for each setting.")
    return values or {}


def parse(text: str, where: str) -> Any:
    """The plain value of a yaml text; ``where`` goes into messages."""
    try:
        value = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "it is not yaml"
        # Not the original error as the cause: it quotes the file, passwords and all.
        raise ConfigError(f"{where}{line}: {printable(str(problem))}.") from None
    if _depth(value) > DEEPEST:
        raise ConfigError(f"{where}: nested deeper than {DEEPEST} levels.")
    return value


def _depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


def _override(given: dict[str, Any], override: str) -> None:
    """Put ``section.key=value`` into ``given``."""
    key, equals, text = override.partition("=")
    parts = key.split(".")
    if not equals or not all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", part) for part in parts):
        raise ConfigError(f"{printable(masked(key))} is not a setting. Settings are key=value.")
    place = given
    for part in parts[:-1]:
        inner = place.setdefault(part, {})
        if not isinstance(inner, dict):
            inner = place[part] = {}
        place = inner
    # An address or a path is taken to the letter; yaml would make something of its colons, braces and hashes.
    place[parts[-1]] = text if "://" in text or VARIABLE.search(text) else parse(text, key)


def _merged(defaults: Mapping[str, Any], given: Mapping[str, Any], prefix: str, unknown: list[str]) -> dict[str, Any]:
    """``defaults`` with ``given`` over them; an empty section of the defaults takes any keys."""
    result = {**defaults}
    for key, value in given.items():
        label = f"{prefix}{key}"
        if key not in defaults:
            near = get_close_matches(str(key), list(defaults), n=1, cutoff=0.5)
            hint = f" (did you mean {printable(prefix + near[0])}?)" if near else ""
            unknown.append(f"{printable(label)}{hint}")
        elif isinstance(defaults[key], dict):
            if value is None:
                continue
            if not isinstance(value, Mapping):
                raise ConfigError(f"{label} is a section: give {label}.KEY=VALUE, or the keys below {label}: in yaml.")
            result[key] = _merged(defaults[key], value, f"{label}.", unknown) if defaults[key] else dict(value)
        else:
            result[key] = value
    return result


def _resolved(value: Any, environ: Mapping[str, str], unset: list[str]) -> Any:
    if isinstance(value, dict):
        return {key: _resolved(item, environ, unset) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, environ, unset) for item in value]
    if not isinstance(value, str):
        return value

    def variable(match: re.Match[str]) -> str:
        found = environ.get(match[1], match[2])
        if found is None:
            unset.append(match[1])
        return found or ""

    return VARIABLE.sub(variable, value)
