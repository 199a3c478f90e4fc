"""What the commands do, on plain dictionaries: ``cli.py`` turns Hydra's configuration into them, ``opening.py`` opens
them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.aliases import plain_freq
from forecast.arguments import named_models
from forecast.artifact import check_place
from forecast.atomic import as_storage_errors, replacing, write_text
from forecast.backtest import Backtest, backtest
from forecast.checks import truth
from forecast.errors import ConfigError, DataError, Fault
from forecast.forecaster import Forecaster
from forecast.forecasts import wanted
from forecast.ingest import catalog
from forecast.ingest.door import to_panel
from forecast.ingest.read import read
from forecast.intervals.calibrated import with_intervals
from forecast.model import Fitted, Model, Task
from forecast.opening import (
    Config,
    Data,
    Settings,
    long_frame,
    open_baselines,
    open_data,
    open_model,
    open_settings,
    open_training,
)
from forecast.panel.calendar import with_calendar
from forecast.panel.panel import Panel
from forecast.panel.split import rolling_cutoffs
from forecast.persist import versions
from forecast.saved_ids import check_ids
from forecast.schema import Schema

Int = npt.NDArray[np.int64]

FORECASTS = "forecasts.parquet"
HISTORY = "history.parquet"
RUN = "run.json"
SCORES = "scores.csv"
REPORT = "report.html"
IMPORTANCE = "importance.csv"


def run_backtest(config: Config, run_dir: Path) -> pd.DataFrame:
    """Score the model beside the baselines; write forecasts, scores, report. Returns the overall scores."""
    from forecast.report.evaluate import evaluate
    from forecast.report.table import print_ranking

    settings = open_settings(config)
    specs = {**open_baselines(config), config["model_name"]: open_model(config, settings.asked)}
    specs = {config["model_name"]: specs.pop(config["model_name"]), **specs}  # the model's column comes first
    models = with_intervals(named_models(specs, open_training(config, run_dir)), config.get("intervals"))
    data = open_data(config)
    task = Task(data.h, data.season_length, settings.val_size, settings.seed, settings.progress)
    panel, cutoffs = choose_cutoffs(data, settings)
    dated, refit = with_calendar(panel, data.h), settings.refit
    result = backtest(models, dated, task, cutoffs, settings.asked, refit=refit, bad=data.bad)
    write_frame(run_dir / FORECASTS, result.frame)
    write_frame(run_dir / HISTORY, long_frame(panel))
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
        intervals=config.get("intervals"),
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
    wanted(config["level"], config["quantiles"], config["statistics"])
    forecaster = Forecaster.load(config["saved"])
    source = config["source"]
    frame = None
    if source is not None:
        frame = (
            catalog.load(source, progress=progress) if source in catalog.cards() else read(source, forecaster.schema)
        )
    asked = {name: config[name] or None for name in ("level", "quantiles", "statistics")}
    if config["samples"] is not None:
        asked = {"samples": config["samples"]}
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
