"""From the settings of a job's file to the job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from forecast.batch.contract import Contract
from forecast.batch.job import Job, home_of, ledger_of
from forecast.batch.misfire import Policy
from forecast.batch.models.gate import Gate
from forecast.batch.models.refresh import ModelPolicy
from forecast.batch.protocols import Sink, Source
from forecast.batch.settings import Settings, job_settings
from forecast.batch.slots import Schedule
from forecast.batch.watch.settings import WatchSettings
from forecast.checks import truth
from forecast.errors import ConfigError
from forecast.forecasts import Wanted, wanted
from forecast.intervals.calibrated import Calibrated
from forecast.models import build, create, named_training
from forecast.schema import Schema
from forecast.transformed import transformed

Section = Mapping[str, Any]


def open_job(job: str | Path, overrides: Sequence[str] = ()) -> Job:
    """The job that a yaml file describes, see :func:`forecast.batch.settings.job_settings`.

    Raises ``ConfigError`` naming what cannot be used.
    """
    return job_of(job_settings(job, overrides))


def job_of(settings: Settings) -> Job:
    """The job of ``settings``. Nothing is read, opened or written."""
    values = settings.values
    needed = [key for key in ("h", "freq") if values[key] is None]
    if needed:
        raise ConfigError(f"{', '.join(needed)} of job {settings.name} is not set. Add h: 28 and freq: D, for example.")
    schema: Schema = build(Schema, values["schema"])
    watching = dict(values["watch"])
    enabled, report, webhook = (watching.pop(key) for key in ("enabled", "report", "webhook"))
    times, folder = times_of(settings), values["folder"]
    sink, url = _sink(values["sink"], values["patience"])
    return Job(
        name=settings.name,
        source=_source(values, schema),
        h=values["h"],
        freq=values["freq"],
        model=_policy(values["model"], wanted(values["level"], values["quantiles"])),
        sink=sink,
        static=values["static"],
        future=values["future"],
        schema=schema,
        contract=build(Contract, {**values["contract"], "ids": _tuple("contract.ids", values["contract"]["ids"])}),
        ledger=values["ledger"] or url,
        folder=None if folder is None else Path(folder),
        schedule=times.schedule,
        misfire=times.misfire,
        watch=build(WatchSettings, watching) if truth("watch.enabled", enabled) else None,
        webhook=webhook,
        report=report,
        keep_models=values["model"]["keep"],
        level=values["level"],
        quantiles=values["quantiles"],
        settings=settings.shown,
        **{
            key: values[key]
            for key in ("zone", "delay", "known_col", "season_length", "seed", "chunk", "patience", "progress")
        },
    )


@dataclass(frozen=True)
class Times:
    """What a scheduler needs of a job, made without its model, which would keep much memory.

    Attributes:
        name: of the job.
        schedule, misfire: when it runs, and what happens when that does not go to plan.
        ledger_url: where its ledger is.
    """

    name: str
    schedule: Schedule | None
    misfire: Policy
    ledger_url: str


def times_of(settings: Settings) -> Times:
    """When the job of ``settings`` runs. Raises ``ConfigError``."""
    values, given = settings.values, dict(settings.values["schedule"])
    cron, zone = given.pop("cron"), given.pop("zone")
    schedule = None if cron is None else Schedule(cron, values["zone"] if zone is None else zone)
    _, url = _sink(values["sink"], values["patience"])
    ledger = ledger_of(home_of(settings.name, values["folder"]), values["ledger"] or url)
    return Times(settings.name, schedule, build(Policy, given), ledger)


def _chosen(section: Section, name: str, keys: Sequence[str]) -> str | None:
    """Which of ``keys`` is set. Raises ``ConfigError`` for several."""
    given = [key for key in keys if section[key] is not None]
    if len(given) > 1:
        raise ConfigError(f"{' and '.join(f'{name}.{key}' for key in given)} are set: give one of them.")
    return given[0] if given else None


def _source(values: Section, schema: Schema) -> Source:
    section, zone = values["source"], values["zone"]
    kind = _chosen(section, "source", ("files", "url", "data"))
    if kind == "files":
        from forecast.batch.files import FileSource

        options = {key: section[key] for key in ("patience", "proof", "incremental")}
        return FileSource(section["files"], schema, zone=values["zone"], **options)
    if kind == "data":
        from forecast.batch.source import FunctionSource

        return FunctionSource(_DataSet(section["data"], values["progress"]), schema, section["patience"])
    if kind is None or section["query"] is None:
        raise ConfigError(
            "There is no source: set source.files (a path or pattern), or source.url and source.query (a database)."
        )
    from forecast.batch.tables import QuerySource

    return QuerySource(section["url"], section["query"], section["params"], schema, zone, section["patience"])


class _DataSet:
    """A data set of the catalogue as a source."""

    def __init__(self, name: str, progress: bool) -> None:
        self.name, self.progress = name, progress
        self.__qualname__ = f"data set {name}"

    def __call__(self, as_of: object) -> Any:
        from forecast.ingest.catalog import load

        return load(self.name, progress=self.progress)


def _sink(section: Section, patience: float) -> tuple[Sink | None, str | None]:
    """The sink, and the URL of the database that it is in."""
    kind = _chosen(section, "sink", ("folder", "url", "duckdb"))
    if kind is None:
        return None, None
    if kind == "folder":
        from forecast.batch.sinks.folder import FolderSink

        return FolderSink(section["folder"], section["format"], section["csv_safe"], patience), None
    if kind == "duckdb":
        from forecast.batch.sinks.duck import DuckDBSink

        return DuckDBSink(section["duckdb"], section["table"], patience), None
    from forecast.batch.sinks.sql import SqlSink

    return SqlSink(section["url"], section["table"], patience), section["url"]


def _policy(section: Section, asked: Wanted) -> ModelPolicy:
    gate = dict(section["gate"])
    judged = truth("model.gate.enabled", gate.pop("enabled"))
    shared = {key: section[key] for key in ("refresh_after", "refresh_on_drift", "warm_start")}
    shared["gate"] = build(Gate, gate) if judged else None
    if section["saved"] is not None:
        if transformed(None, section) is not None or section["intervals"] is not None:
            raise ConfigError("transforms, intervals and output options go with model.name; a saved model has its own.")
        return ModelPolicy(saved=section["saved"], **shared)
    name = section["name"]
    if not isinstance(name, str):
        raise ConfigError("model.name is not set: name a model (forecast backtest --help lists them), or model.saved.")
    model = create(name, **section["settings"])
    own = getattr(model, "quantiles", ())
    if isinstance(own, tuple) and own:  # a net with quantiles can tell none but those that it was trained on
        model = replace(model, quantiles=tuple(sorted({*own, *asked.probs})))
    budget = {key: section[key] for key in ("max_steps", "max_time")}
    whole = transformed(model, section)
    if section["intervals"] is not None:
        whole = Calibrated(whole, section["intervals"])
    return ModelPolicy(model=whole, training=_training(section), **budget, **shared)


def _training(section: Section) -> Any:
    """Training settings; ``None`` for the defaults."""
    given, trainer = section["training"], section["trainer"]
    if not given and trainer is None:
        return None
    from forecast.training.settings import Training

    base = named_training(trainer) if trainer is not None else Training()
    values = {entry.name: getattr(base, entry.name) for entry in fields(base)}
    build(Training, dict(given))  # names every key that is unknown or of the wrong type
    return replace(base, **{key: given.get(key, value) for key, value in values.items()})


def _tuple(name: str, value: Any) -> tuple[Any, ...] | None:
    if value is None or isinstance(value, (list, tuple)):
        return None if value is None else tuple(value)
    raise ConfigError(f"{name}={value!r} must be a list.")
