"""Layers and laziness: nothing lower knows anything higher, nothing heavy is imported before it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import forecast

PACKAGE = Path(forecast.__file__).parent

# Lower layers first; a module may import from its own layer and those before it.
LAYERS = [
    {"errors", "allocator", "atomic", "checks", "filenames", "processor", "progress", "resources"},
    {"schema", "calendars", "aliases", "timeline", "inference"},
    {"panel"},
    {"ingest"},
    {"model", "windows", "conformal", "distributions"},
    {"nets"},
    {"training", "baselines"},
    {"bad_series", "models", "forecasts", "paths"},
    {"ensemble", "wrapped", "transformed", "transforms", "intervals", "scenarios"},
    {
        "backtest",
        "artifact",
        "saved_covariates",
        "saved_ids",
        "saved_intervals",
        "saved_models",
        "saved_transforms",
        "persist",
        "report",
    },
    {"auto"},
    {"arguments"},
    {"asking"},
    {"forecaster", "frequencies", "restored"},
    {"opening"},
    {"commands"},
    {"batch"},
    {"cli", "usage"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
# training and baselines stand side by side and do not know each other
SIDE_BY_SIDE = [{"training", "baselines"}, {"report", "persist"}]


def modules() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path.name != "__init__.py"]


def layer(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def packages(path: Path) -> set[str]:
    """The top-level packages that ``path`` imports anywhere."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.split(".")[0] for name in names}


def imported(path: Path) -> set[str]:
    """Our own top-level modules that ``path`` imports when it runs (type checking aside)."""
    names = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        found = []
        if isinstance(node, ast.ImportFrom) and node.module:
            base = node.module
            found = [f"{base}.{alias.name}" for alias in node.names] if base == "forecast" else [base]
        elif isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        names |= {name.split(".")[1] for name in found if name.startswith("forecast.")}
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    own = layer(path)
    for name in imported(path):
        assert RANK[name] <= RANK[own], f"{own} imports {name}, which lies above it"
        assert not any({own, name} == pair for pair in SIDE_BY_SIDE), f"{own} imports {name}"


def test_only_the_command_line_sees_a_hydra_configuration():
    users = {path.name for path in modules() if {"hydra", "omegaconf"} & packages(path)}
    assert users == {"cli.py"}


def heavy_after(code: str) -> set[str]:
    check = f"import sys; {code}; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    return set(done.stdout.split()) & {
        "pandas",
        "torch",
        "pytorch_lightning",
        "matplotlib",
        "statsmodels",
        "sklearn",
        "hydra",
    }


def test_importing_the_package_imports_nothing_heavy():
    assert heavy_after("import forecast") == set()


def test_predicting_with_a_loaded_net_does_not_import_lightning(frame, quick, tmp_path):
    from forecast.models import LSTM

    fitted = forecast.Forecaster(LSTM(input_size=12, hidden_size=4), h=2, training=quick, progress=False).fit(frame)
    folder = fitted.save(tmp_path / "m")
    heavy = heavy_after(f"from forecast import Forecaster; Forecaster.load({str(folder)!r}).predict(level=[80])")
    assert heavy <= {"pandas", "torch"}


def test_every_module_is_at_home_in_one_layer():
    assert {layer(path) for path in modules()} <= set(RANK)


def test_public_names_are_sorted_and_can_be_imported():
    assert forecast.__all__ == sorted(forecast.__all__, key=str)
    for name in forecast.__all__:
        assert getattr(forecast, name) is not None
    assert set(forecast.__all__) == set(forecast._HOMES)


def test_an_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Prophet'"):
        forecast.Prophet  # noqa: B018


def test_every_package_is_in_the_wheel():
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())
    found = {".".join(path.parent.relative_to(PACKAGE.parent).parts) for path in PACKAGE.rglob("*.py")}
    assert found | {"forecast.conf", "forecast.datasets"} == set(project["tool"]["setuptools"]["packages"])
