"""A job: what is forecast from what, by which model, and where it goes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecast.aliases import Freq, as_freq, plain_freq
from forecast.batch.contract import Contract
from forecast.batch.known import Arrival
from forecast.batch.ledger.masking import scrubbed
from forecast.batch.misfire import Policy
from forecast.batch.models.refresh import ModelPolicy
from forecast.batch.protocols import Sink, Source
from forecast.batch.settings import JOB_NAME
from forecast.batch.watch.settings import WatchSettings
from forecast.batch.watch.webhook import Webhook
from forecast.batch.when import now, zone_named
from forecast.checks import truth, whole_number
from forecast.errors import ConfigError, printable
from forecast.forecasts import Wanted, wanted
from forecast.models import LARGEST_SIZE, name_of
from forecast.panel.calendar import calendar_of
from forecast.persist import versions
from forecast.schema import Schema

if TYPE_CHECKING:
    from forecast.batch.slots import Schedule

LARGEST_CHUNK = 10_000_000
MOST_PATIENCE = 86_400.0
DEFAULT_MODEL = "segrnn"
# Settings of a model policy that say when to train, not what a model forecasts.
TIMING = ("refresh_after", "refresh_on_drift", "gate")


@dataclass(frozen=True)
class Job:
    """What :func:`forecast.batch.run.run` runs, the same in Python as from a yaml file.

    Attributes:
        name: tells jobs of one ledger apart; letters, digits, ``-``, ``_`` and ``.``.
        source: where the rows come from.
        h: steps to forecast.
        freq: pandas alias, integer step or :class:`~forecast.calendars.CustomBusiness`. It must be given: one that is
            inferred may change with the data.
        model: a model's name, an object of :mod:`forecast.models`, or a :class:`ModelPolicy`.
        sink: where forecasts go; ``None`` for tables beside those of the ledger.
        static: a table with a row for each series, id and static features; a frame or a path.
        future: a table with a row for each series and step to forecast: id, time and the columns of the schema's
            ``futr_exog``; a frame or a path, read at each run. It may hold more rows.
        zone: the clock of times without a zone, of ``as_of`` and of slots.
        delay: how long after its stamp a row is known: steps, a duration ("2h"), ``None`` for one step.
        known_col: the column that says when a row became known; then the latest version of each row counts.
        schema: what the columns are called, and what to do with gaps and doubles. A bad series never stops a job.
        contract: what the data must be like.
        season_length: steps in a season; of the frequency when left out.
        level, quantiles: interval levels in percent and quantiles to forecast besides the mean.
        seed: everything random derives from it.
        ledger: URL of the ledger; ``None`` for a SQLite file in ``folder``.
        folder: models, spool and reports; ``None`` for ``batch/NAME`` below the current folder.
        schedule, misfire: when the job runs, and what becomes of slots that were missed.
        watch: limits of the watch over accuracy and data; ``None`` for no watch.
        webhook: where alerts are posted; ``None`` for nowhere.
        report: whether each run writes an HTML report below ``folder``.
        keep_models: versions of the model to keep at least.
        chunk: series forecast at a time; bounds memory.
        patience: seconds to keep trying while the ledger cannot be reached.
        progress: whether long work shows how far it is.
        settings: what to show of the job instead of its arguments, for a job from a file.

    Raises ``ConfigError`` naming the argument that cannot be used.
    """

    name: str
    source: Source = field(repr=False)
    h: int
    freq: Freq
    model: Any = DEFAULT_MODEL
    sink: Sink | None = field(default=None, repr=False)
    static: Any = field(default=None, repr=False)
    future: Any = field(default=None, repr=False)
    zone: str = "UTC"
    delay: timedelta | str | int | None = None
    known_col: str | None = None
    schema: Schema = Schema()
    contract: Contract = Contract()
    season_length: int | None = None
    level: Sequence[float] = (80, 95)
    quantiles: Sequence[float] = ()
    seed: int = 0
    ledger: str | None = field(default=None, repr=False)
    folder: str | Path | None = None
    schedule: Schedule | None = None
    misfire: Policy = Policy()
    watch: WatchSettings | None = WatchSettings()
    webhook: str | None = field(default=None, repr=False)
    report: bool = True
    keep_models: int = 5
    chunk: int = 8192
    patience: float = 30.0
    progress: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not JOB_NAME.fullmatch(self.name):
            raise ConfigError(f"name={printable(self.name)}: letters, digits, '-', '_' and '.', at most 64.")
        if self.freq is None:
            raise ConfigError("freq of a job must be given ('D', 'h', 'MS' …): one inferred may change with the data.")
        self._set("freq", as_freq(self.freq))
        self._check_numbers()
        zone_named(self.zone)
        arrival = Arrival(self.freq, 0 if isinstance(self.freq, int) else now(), self.zone, self.delay)
        arrival.lag, arrival.grid  # noqa: B018 - checked when asked for
        asked = wanted(self.level, self.quantiles)
        self._set("level", asked.level)
        self._set("quantiles", asked.quantiles)
        self._set("folder", self.home)
        if not isinstance(self.model, ModelPolicy):
            self._set("model", ModelPolicy(model=self.model))
        if bool(self.schema.futr_exog) != (self.future is not None):
            raise ConfigError(
                "schema.futr_exog and future go together: the columns that are known into the future, and the table "
                f"that tells their next rows. Got futr_exog={list(self.schema.futr_exog)} and "
                f"{'no' if self.future is None else 'a'} table."
            )
        calendar_of(self.schema)  # refuses what cannot be
        if self.schema.time_features:
            raise ConfigError(
                f"time_features={list(self.schema.time_features)}: a job runs no code of the user's. Put what the "
                "functions tell into the table of the future, as columns of schema.futr_exog."
            )
        if self.webhook is not None:
            Webhook(self.webhook)  # refuses what is no address

    def _check_numbers(self) -> None:
        bounds = {"h": (1, LARGEST_SIZE), "chunk": (1, LARGEST_CHUNK), "seed": (0, 2**31 - 1), "keep_models": (1, 1000)}
        if self.season_length is not None:
            bounds["season_length"] = (1, LARGEST_SIZE)
        for name, (least, most) in bounds.items():
            self._set(name, whole_number(name, getattr(self, name), least, most))
        for name in ("progress", "report"):
            truth(name, getattr(self, name))
        number = isinstance(self.patience, (int, float)) and not isinstance(self.patience, bool)
        if not number or not 0 <= self.patience <= MOST_PATIENCE:
            raise ConfigError(f"patience={printable(self.patience)}: seconds, 0 to {MOST_PATIENCE:,.0f}, are needed.")

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def asked(self) -> Wanted:
        """Interval levels and quantiles."""
        return Wanted(tuple(self.level), tuple(self.quantiles))

    @property
    def home(self) -> Path:
        """The job's folder."""
        return home_of(self.name, self.folder)

    @property
    def ledger_url(self) -> str:
        """Where its ledger is: what was given, else a SQLite file in its folder."""
        return ledger_of(self.home, self.ledger)

    def open_sink(self) -> Sink:
        """Where its forecasts go: what was given, else tables beside the ledger."""
        if self.sink is not None:
            return self.sink
        from forecast.batch.sinks.sql import SqlSink

        return SqlSink(self.ledger_url, patience=self.patience)

    @property
    def config_hash(self) -> str:
        """The hash of this version of the package and of every setting that forecasts depend on; 32 hex digits."""
        facts = json.dumps({"package": versions().get("forecast"), **self.facts()}, sort_keys=True)
        return hashlib.sha256(facts.encode()).hexdigest()[:32]

    def facts(self) -> dict[str, Any]:
        """The settings that forecasts depend on, as plain values without secrets."""
        names = ("h", "freq", "zone", "delay", "known_col", "season_length", "level", "quantiles", "seed")
        plain = {name: getattr(self, name) for name in names} | {"freq": plain_freq(self.freq)}
        parts = {"schema": asdict(self.schema), "contract": _fields(self.contract), "model": _policy(self.model)}
        return dict(_plain({**plain, **parts}))

    def shown(self) -> dict[str, Any]:
        """All that is worth telling of the job, secrets masked: what its file says, or what it was made of."""
        if self.settings:
            return dict(scrubbed(self.settings))
        places = {"source": self.source.describe(), "sink": self.open_sink().describe(), "ledger": self.ledger_url}
        return dict(scrubbed({**self.facts(), **places}))


def home_of(name: str, folder: str | Path | None) -> Path:
    """The folder of a job: what was given, else one named after it."""
    return Path("batch", name) if folder is None else Path(folder)


def ledger_of(home: Path, ledger: str | None) -> str:
    """The URL of a job's ledger: what was given, else a SQLite file in its folder."""
    return ledger or f"sqlite:///{home / 'batch.db'}"


def _fields(value: Any) -> dict[str, Any]:
    return {entry.name: getattr(value, entry.name) for entry in fields(value)}


def _policy(policy: ModelPolicy) -> dict[str, Any]:
    """What a model policy makes: an object among it by its class and fields."""
    given = {key: value for key, value in _fields(policy).items() if key not in TIMING}
    given["saved"] = given["saved"] is not None  # which model lies there is told by its own hash
    model, training = given["model"], given["training"]
    if model is not None and not isinstance(model, str):
        given["model"] = {"class": name_of(model), "is": repr(model)}
    if training is not None and not isinstance(training, str):
        given["training"] = training.recipe
    return given


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
