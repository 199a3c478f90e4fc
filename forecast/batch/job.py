"""A job: what is forecast from what, by which model, and where it goes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecast.arguments import truth, whole_number
from forecast.batch.contract import Contract
from forecast.batch.known import Arrival
from forecast.batch.models.policy import ModelPolicy
from forecast.batch.protocols import Sink, Source
from forecast.batch.settings import JOB_NAME, shown
from forecast.batch.when import now, zone_named
from forecast.errors import ConfigError, printable
from forecast.forecasts import Wanted, wanted
from forecast.models import LARGEST_SIZE, entries
from forecast.schema import Schema

if TYPE_CHECKING:
    from forecast.batch.misfire import Policy
    from forecast.batch.slots import Schedule
    from forecast.batch.watch.settings import WatchSettings

LARGEST_CHUNK = 10_000_000
FALLBACKS = ("ets", "seasonal_naive", "naive")
SHIPPED = "package"
MOST_PATIENCE = 86_400.0


@dataclass(frozen=True)
class Job:
    """A job that :func:`forecast.batch.run.run` runs, the same in Python as from a yaml file.

    Attributes:
        name: tells jobs of one ledger apart; letters, digits, ``-``, ``_`` and ``.``.
        source: where the rows come from.
        h: steps to forecast.
        freq: pandas alias or integer step. It must be given: one that is inferred may change with the data.
        model: a model's name, an object of :mod:`forecast.models`, or a :class:`ModelPolicy`.
        sink: where forecasts go; ``None`` for a SQLite file in ``folder``, which holds the ledger too.
        zone: the clock of times without a zone, of ``as_of`` and of slots.
        delay: how long after its stamp a row is known: steps, a duration ("2h"), ``None`` for one step.
        known_col: the column that says when a row became known; then the latest version of each row counts.
        schema: what the columns are called, and what to do with gaps and doubles. One bad series never stops a job.
        contract: what the data must be like.
        season_length: steps in a season; of the frequency when left out.
        level, quantiles: interval levels in percent and quantiles to forecast besides the mean.
        fallbacks: models that make the forecasts of a series that the job's own cannot, the first that can; the last
            good version of the job's model comes before them.
        seed: everything random derives from it.
        ledger: URL of the ledger; ``None`` for a SQLite file in ``folder``.
        folder: models, spool and reports; ``None`` for ``batch/NAME`` below the current folder.
        schedule, misfire: when the job runs, and what happens to slots that were missed.
        watch: limits of the watch over accuracy and data; ``None`` for no watch.
        webhook: where alerts are posted; ``None`` for nowhere.
        report: whether each run writes an HTML report below ``folder``.
        keep_models: versions of the model to keep at least.
        chunk: series forecast at a time; bounds memory, changes nothing.
        patience: seconds to keep trying while sink or ledger cannot be reached.
        progress: whether long work shows how far it is.

    Raises ``ConfigError`` naming the argument that cannot be used.
    """

    name: str
    source: Source = field(repr=False)
    h: int
    freq: str | int
    model: Any = "segrnn"
    sink: Sink | None = field(default=None, repr=False)
    zone: str = "UTC"
    delay: timedelta | str | int | None = None
    known_col: str | None = None
    schema: Schema = Schema(on_bad_series="skip")
    contract: Contract = Contract()
    season_length: int | None = None
    level: Sequence[float] = (80, 95)
    quantiles: Sequence[float] = ()
    fallbacks: Sequence[str] = FALLBACKS
    seed: int = 0
    ledger: str | None = field(default=None, repr=False)
    folder: Path | None = None
    schedule: Schedule | None = None
    misfire: Policy | None = None
    watch: WatchSettings | None = None
    webhook: str | None = field(default=None, repr=False)
    report: bool = True
    keep_models: int = 5
    chunk: int = 5000
    patience: float = 30.0
    progress: bool = True
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not JOB_NAME.fullmatch(self.name):
            raise ConfigError(f"name={printable(self.name)}: letters, digits, '-', '_' and '.', at most 64.")
        self._set("h", whole_number("h", self.h, most=LARGEST_SIZE))
        self._set("chunk", whole_number("chunk", self.chunk, most=LARGEST_CHUNK))
        self._set("seed", whole_number("seed", self.seed, least=0, most=2**31 - 1))
        self._set("keep_models", whole_number("keep_models", self.keep_models, least=1, most=1000))
        if self.season_length is not None:
            self._set("season_length", whole_number("season_length", self.season_length, most=LARGEST_SIZE))
        for name in ("progress", "report"):
            truth(name, getattr(self, name))
        if isinstance(self.patience, bool) or not isinstance(self.patience, (int, float)):
            raise ConfigError(f"patience={printable(self.patience)}: seconds, a number, are needed.")
        if not 0 <= self.patience <= MOST_PATIENCE:
            raise ConfigError(f"patience={self.patience}: 0 to {MOST_PATIENCE:,.0f} seconds are possible.")
        if self.freq is None:
            raise ConfigError("freq of a job must be given ('D', 'h', 'MS' …): one inferred may change with the data.")
        zone_named(self.zone)
        Arrival(self.freq, now(), self.zone, self.delay).lag  # noqa: B018 - checks all four
        unknown = [name for name in self.fallbacks if name not in entries()]
        if isinstance(self.fallbacks, str) or unknown:
            raise ConfigError(f"fallbacks={printable(self.fallbacks)}: a list of models' names is needed.")
        self._set("fallbacks", tuple(self.fallbacks))
        asked = wanted(self.level, self.quantiles)
        self._set("level", asked.level)
        self._set("quantiles", asked.quantiles)
        self._set("folder", Path("batch", self.name) if self.folder is None else Path(self.folder))
        if not isinstance(self.model, ModelPolicy):
            self._set("model", ModelPolicy(model=self.model))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @property
    def asked(self) -> Wanted:
        """Interval levels and quantiles."""
        return Wanted(tuple(self.level), tuple(self.quantiles))

    @property
    def home(self) -> Path:
        """The job's folder."""
        return Path("batch", self.name) if self.folder is None else self.folder

    @property
    def ledger_url(self) -> str:
        """Where its ledger is: what was given, else a SQLite file in its folder."""
        return self.ledger or f"sqlite:///{self.home / 'batch.db'}"

    def open_sink(self) -> Sink:
        """Where its forecasts go: what was given, else a table beside its ledger."""
        if self.sink is not None:
            return self.sink
        from forecast.batch.sinks.sql import SqlSink

        return SqlSink(self.ledger_url)

    @property
    def config_hash(self) -> str:
        """The hash of every setting that forecasts depend on; 32 hex digits. No secret is in it."""
        from forecast import __version__

        facts = {**self.facts(), SHIPPED: __version__}
        return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:32]

    def facts(self) -> dict[str, Any]:
        """The settings that forecasts depend on, as plain values."""
        names = ("h", "freq", "zone", "known_col", "season_length", "level", "quantiles", "fallbacks", "seed")
        plain = {name: getattr(self, name) for name in names}
        plain |= {"delay": None if self.delay is None else str(self.delay)}
        plain |= {"schema": asdict(self.schema), "contract": _plain(self.contract), "model": self.model.facts()}
        return dict(_jsonable(plain))

    def shown(self) -> dict[str, Any]:
        """All that is worth telling of the job, secrets masked: what its file says, or what it was made of."""
        places = {"source": self.source.describe(), "sink": self.open_sink().describe(), "ledger": self.ledger_url}
        return dict(shown(dict(self.settings) or {**self.facts(), **places}))


def _plain(value: Any) -> dict[str, Any]:
    return {f.name: getattr(value, f.name) for f in fields(value)} if is_dataclass(value) else {}


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
