"""What a run is about, opened from a plain dictionary: the settings, the data, the model with its training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecast.bad_series import Bad, in_words
from forecast.checks import truth, whole_number
from forecast.errors import ConfigError
from forecast.forecaster import LARGEST_SEED
from forecast.forecasts import Wanted, wanted
from forecast.ingest import catalog
from forecast.ingest.door import read_panel
from forecast.ingest.read import read
from forecast.ingest.terms import Terms
from forecast.models import LARGEST_SIZE, build, create, from_config
from forecast.panel.calendar import calendar_of
from forecast.panel.panel import Panel
from forecast.panel.standard import standardized
from forecast.schema import Schema
from forecast.transformed import transformed

if TYPE_CHECKING:
    from forecast.training.settings import Training

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Data:
    """A frame as the configuration describes it, with what is known about it."""

    name: str
    frame: pd.DataFrame
    panel: Panel
    h: int
    season_length: int
    static: str | None = None
    bad: Bad = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """The numbers and switches of a run, checked before any data are read."""

    asked: Wanted
    val_size: int | None
    seed: int
    progress: bool
    refit: bool
    n_windows: int
    step_size: int | None
    test_size: int | None
    report: bool
    importance: bool = False
    importance_time: int = 60


def open_settings(config: Config) -> Settings:
    """Check every setting that needs no data. Raises ``ConfigError`` naming the key that cannot be used."""
    val_size, step_size, test_size = config["val_size"], config.get("step_size"), config.get("test_size")
    report = config.get("report", {})
    return Settings(
        asked=wanted(config["level"], config["quantiles"]),
        val_size=None if val_size is None else whole_number("val_size", val_size, least=0),
        seed=whole_number("seed", config["seed"], least=0, most=LARGEST_SEED),
        progress=truth("progress", config["progress"]),
        refit=truth("refit", config.get("refit", False)),
        n_windows=whole_number("n_windows", config.get("n_windows", 1)),
        step_size=None if step_size is None else whole_number("step_size", step_size),
        test_size=None if test_size is None else whole_number("test_size", test_size),
        report=truth("report.enabled", report.get("enabled", False)),
        importance=truth("report.importance", report.get("importance", False)),
        importance_time=whole_number("report.importance_time", report.get("importance_time", 60)),
    )


def open_data(config: Config) -> Data:
    """Read the data set or file that ``config["data"]`` names; top-level ``h`` and ``freq`` win over its own."""
    section = config["data"]
    name = section.get("name")
    progress = truth("progress", config["progress"])
    schema = Schema(**{f.name: section[f.name] for f in fields(Schema) if f.name != "time_features"})
    calendar_of(schema)  # refuses what cannot be before anything is read
    frame = catalog.load(name, progress=progress) if name else read(section["path"], schema)
    freq = config.get("freq") if config.get("freq") is not None else section.get("freq")
    static = section.get("static")
    reading = read_panel(frame, Terms(schema, freq), static)
    panel, bad = reading.panel, in_words(reading.bad)
    if section.get("rows") is not None or section.get("standardize") is not None:
        panel = _benchmark_rows(panel, section)
        frame = long_frame(panel)
    h = config.get("h") if config.get("h") is not None else section.get("h")
    if h is None:
        raise ConfigError("h, the number of steps to forecast, is not known for this file. Add h=24, say.")
    season = section.get("season_length")
    season = panel.timeline.season_length if season is None else season
    label = name or Path(str(section["path"])).stem
    horizon = whole_number("h", h, most=LARGEST_SIZE)
    season = whole_number("season_length", season, most=LARGEST_SIZE)
    return Data(label, frame, panel, horizon, season, static, bad)


def _benchmark_rows(panel: Panel, section: Config) -> Panel:
    """The first ``rows`` of each series, standardised by its first ``standardize``: what published tables score."""
    if section.get("rows") is not None:
        panel = panel.head(np.full(len(panel), whole_number("data.rows", section["rows"])))
    if section.get("standardize") is None:
        return panel
    return standardized(panel, whole_number("data.standardize", section["standardize"], least=2))


def open_training(config: Config, run_dir: Path) -> Training:
    """Training settings from ``config["trainer"]``; the CSV log goes to the run folder unless told otherwise."""
    from forecast.training.settings import Training

    section = dict(config["trainer"])
    if section.get("log_dir") is None:
        section["log_dir"] = str(run_dir / "log")
    training: Training = build(Training, section)
    return training


def open_model(config: Config, asked: Wanted) -> Any:
    """The architecture or baseline of ``config["model"]``, with ``data.input_size`` where that is given, behind the
    transforms that are asked for.

    A net with quantiles learns those of ``asked`` too: it can tell nothing outside what it was trained on.
    """
    section = dict(config["model"])
    input_size = config["data"].get("input_size")
    if input_size is not None and "input_size" in section:
        section["input_size"] = input_size
    model = from_config(section)
    own = getattr(model, "quantiles", ())
    if isinstance(own, tuple) and own:
        model = replace(model, quantiles=tuple(sorted({*own, *asked.probs})))
    return transformed(model, config)


def open_baselines(config: Config) -> dict[str, Any]:
    """The baselines of ``config["baselines"]`` by name."""
    names = config["baselines"]
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"baselines={names!r} must be a list of names, [naive,ets] for example.")
    return {name: create(name) for name in names}


def long_frame(panel: Panel) -> pd.DataFrame:
    """The panel's rows as a long frame, with the covariates that change over time."""
    from forecast.panel.clock import as_index

    schema = panel.schema
    return pd.DataFrame(
        {
            schema.id_col: panel.ids.repeat(panel.lengths),
            schema.time_col: as_index(panel.timeline, panel.stamps()),
            schema.target_col: panel.values,
            **({} if panel.hist is None else panel.hist.cells()),
            **({} if panel.futr is None else panel.futr.between(panel.first, panel.lengths).covariates.cells()),
        }
    )
