"""What the commands do, on plain dictionaries: ``cli.py`` turns Hydra's configuration into them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.aliases import plain_freq
from forecast.arguments import named_models
from forecast.artifact import check_place
from forecast.atomic import as_storage_errors, replacing, write_text
from forecast.backtest import Backtest, backtest
from forecast.bad_series import Bad, in_words
from forecast.checks import truth, whole_number
from forecast.errors import ConfigError, DataError, Fault
from forecast.forecaster import LARGEST_SEED, Forecaster
from forecast.forecasts import Wanted, wanted
from forecast.ingest import catalog
from forecast.ingest.door import read_panel, to_panel
from forecast.ingest.read import read
from forecast.model import Fitted, Model, Task
from forecast.models import LARGEST_SIZE, build, create, from_config
from forecast.panel.calendar import calendar_of, with_calendar
from forecast.panel.panel import Panel
from forecast.panel.split import rolling_cutoffs
from forecast.panel.standard import standardized
from forecast.persist import versions
from forecast.saved_ids import check_ids
from forecast.schema import Schema
from forecast.transformed import transformed

if TYPE_CHECKING:
    from forecast.training.settings import Training

Config = Mapping[str, Any]
Int = npt.NDArray[np.int64]

FORECASTS = "forecasts.parquet"
HISTORY = "history.parquet"
RUN = "run.json"
SCORES = "scores.csv"
REPORT = "report.html"
IMPORTANCE = "importance.csv"


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
    reading = read_panel(frame, schema, freq, static=static)
    panel, bad = reading.panel, in_words(reading.bad)
    if section.get("rows") is not None or section.get("standardize") is not None:
        panel = _benchmark_rows(panel, section)
        frame = _long(panel)
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


def run_backtest(config: Config, run_dir: Path) -> pd.DataFrame:
    """Score the model beside the baselines; write forecasts, scores, report. Returns the overall scores."""
    from forecast.report.evaluate import evaluate
    from forecast.report.table import print_ranking

    settings = open_settings(config)
    specs = {**open_baselines(config), config["model_name"]: open_model(config, settings.asked)}
    specs = {config["model_name"]: specs.pop(config["model_name"]), **specs}  # the model's column comes first
    models = named_models(specs, open_training(config, run_dir))
    data = open_data(config)
    task = Task(data.h, data.season_length, settings.val_size, settings.seed, settings.progress)
    panel, cutoffs = choose_cutoffs(data, settings)
    dated, refit = with_calendar(panel, data.h), settings.refit
    result = backtest(models, dated, task, cutoffs, settings.asked, refit=refit, bad=data.bad)
    write_frame(run_dir / FORECASTS, result.frame)
    write_frame(run_dir / HISTORY, _long(panel))
    facts = _run_facts(data, config, result)
    write_text(run_dir / RUN, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    scores = evaluate(result.frame, panel, data.season_length, panel.schema)
    write_text(run_dir / SCORES, scores.to_csv(index=False))
    if settings.progress:
        print_ranking(scores, result.seconds)
    if settings.report:
        if settings.importance:
            _add_importance(run_dir, facts, (models, result.fitted), dated, cutoffs, data, settings)
        run_report({"run": str(run_dir), "output": None, "title": config["report"]["title"]})
    return scores


def _add_importance(
    run_dir: Path,
    facts: dict[str, Any],
    models: tuple[Mapping[str, Model], Mapping[str, Fitted]],
    panel: Panel,
    cutoffs: Int,
    data: Data,
    settings: Settings,
) -> None:
    """Measure what covariates are worth to the models that read any, and add it to the run folder."""
    from forecast.report.importance import permutation_importance, roles_read

    roles = roles_read(models[0], panel)
    if not roles:
        return
    # Models fitted again at each cutoff are at hand as they were at the last one, and know what was to come before it.
    cutoffs = cutoffs[-1:] if settings.refit else cutoffs
    options: dict[str, Any] = {"seed": settings.seed, "bad": data.bad, "progress": settings.progress}
    options["max_time"] = settings.importance_time
    found = permutation_importance(models[1], roles, panel, cutoffs, data.h, data.season_length, **options)
    write_text(run_dir / IMPORTANCE, found.frame().to_csv(index=False))
    written = facts | {"importance": found.facts()}
    write_text(run_dir / RUN, json.dumps(written, indent=1, ensure_ascii=False) + "\n")


def choose_cutoffs(data: Data, settings: Settings) -> tuple[Panel, Int]:
    """The panel to backtest on and its cutoffs.

    A ``split`` column of train and test rows fixes the last cutoff: the end of each series' training rows.
    """
    panel = data.panel
    if "split" in data.frame.columns:
        train = data.frame[data.frame["split"] == "train"]
        if len(train) and len(train) < len(data.frame):
            known = to_panel(train, panel.schema.target_only(), panel.timeline.freq)
            place = known.ids.get_indexer(panel.ids)
            if (place < 0).any():
                missing = panel.ids[place < 0][0]
                fault = Fault("split", "no row is marked train", "Mark the rows before the test rows.", missing)
                raise DataError(fault)
            panel = panel.before(known.last[place] + data.h)
    return panel, rolling_cutoffs(panel, data.h, settings.n_windows, settings.step_size, settings.test_size)


def run_fit(config: Config, run_dir: Path) -> Path:
    """Train on everything and save the model. Returns its folder."""
    settings = open_settings(config)
    target = Path(config["output"] or run_dir / "model")
    check_place(target)
    model = open_model(config, settings.asked)
    training = open_training(config, run_dir)
    data = open_data(config)
    check_ids(data.panel.ids)
    forecaster = Forecaster(
        {config["model_name"]: model},
        data.h,
        data.panel.timeline.freq,
        season_length=data.season_length,
        seed=settings.seed,
        training=training,
        progress=settings.progress,
        **data.panel.schema.options(),
    )
    forecaster.fit(data.frame, static_df=data.static, val_size=settings.val_size)
    return forecaster.save(target)


def run_predict(config: Config, run_dir: Path) -> Path:
    """Forecast with a saved model. Returns the file written."""
    target = Path(config["output"] or run_dir / FORECASTS)
    check_table_name(target)
    progress = truth("progress", config["progress"])
    wanted(config["level"], config["quantiles"])
    forecaster = Forecaster.load(config["saved"])
    source = config["source"]
    frame = None
    if source is not None:
        frame = (
            catalog.load(source, progress=progress) if source in catalog.cards() else read(source, forecaster.schema)
        )
    asked = {"level": config["level"] or None, "quantiles": config["quantiles"] or None}
    tables = {"futr_df": config["futr"], "static_df": config["static"]}
    forecasts = forecaster.predict(frame, h=config["h"], **tables, **asked)
    write_frame(target, forecasts)
    return target


def run_report(config: Config) -> Path:
    """Write the report of a backtest's run folder. Returns the file written."""
    from forecast.report.html import ModelCard, Report, write_report
    from forecast.report.importance import importance_of
    from forecast.report.outliers import outlier_words

    folder = Path(config["run"])
    missing = [name for name in (FORECASTS, HISTORY, RUN) if not (folder / name).is_file()]
    if missing:
        raise ConfigError(f"{folder} is not the run folder of a backtest: {', '.join(missing)} missing.")
    facts = json.loads((folder / RUN).read_text(encoding="utf-8"))
    schema = Schema(**facts["schema"]).target_only()  # scores need no covariates
    history = to_panel(pd.read_parquet(folder / HISTORY), schema, facts["freq"])
    far_out = outlier_words(history)
    report = Report(
        title=config["title"] or f"Forecasts of {facts['data']}",
        cv=pd.read_parquet(folder / FORECASTS),
        history=history,
        season_length=facts["season_length"],
        schema=schema,
        models=tuple(ModelCard(name, describe) for name, describe in facts["models"].items()),
        configuration=facts["configuration"],
        versions=facts["versions"],
        importance=importance_of(facts.get("importance")),
        warnings=(far_out,) if far_out else (),
    )
    target = Path(config["output"] or folder / REPORT)
    write_report(target, report)
    return target


def check_table_name(path: Path) -> None:
    """Raise ``ConfigError`` unless the name is one that :func:`write_frame` can write."""
    if not path.name.lower().endswith((".csv", ".parquet")):
        raise ConfigError(f"{path.name}: write to a .csv or a .parquet file.")
    if path.is_dir():
        raise ConfigError(f"{path} is a folder. Name a file.")


def write_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write a frame as CSV or Parquet, whichever the name says, atomically. Raises ``StorageError``."""
    check_table_name(path)
    with as_storage_errors(path, int(frame.memory_usage(deep=False).sum())), replacing(path) as temporary:
        if path.name.lower().endswith(".csv"):
            frame.to_csv(temporary, index=False)
        else:
            frame.to_parquet(temporary, index=False)


def _long(panel: Panel) -> pd.DataFrame:
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


def _run_facts(data: Data, config: Config, result: Backtest) -> dict[str, Any]:
    """Everything the report needs besides the frames, as plain values."""
    models = {}
    for name, fitted in result.fitted.items():
        counted = sum(result.reasons.get(name, {}).values())
        models[name] = {"seconds": round(result.seconds[name], 3), "reasons": counted, **fitted.describe()}
        if counted:
            models[name]["why"] = result.reasons[name]
    return {
        "data": data.name,
        "freq": plain_freq(data.panel.timeline.freq),
        "season_length": data.season_length,
        "schema": {f.name: getattr(data.panel.schema, f.name) for f in fields(Schema)},
        "models": models,
        "configuration": dict(config),
        "versions": versions(),
    }
