"""The ledger's tables as they are now. Migrations make them; a test compares the two."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import BigInteger, Column, DateTime, Dialect, Float, Integer, MetaData, Table, Text
from sqlalchemy.types import TypeDecorator

from forecast.batch.ledger.masking import masked, scrubbed

LONGEST_TEXT = 4000


class Moment(TypeDecorator[datetime]):
    """An aware time. SQLite keeps no zones: there it is UTC without saying so."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Facts(TypeDecorator[Mapping[str, Any]]):
    """A mapping of plain data as JSON text, without passwords."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, Any] | None, dialect: Dialect) -> str:
        return json.dumps(scrubbed(plain(value or {})), sort_keys=True, allow_nan=False)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Mapping[str, Any]:
        loaded = json.loads(value or "{}")
        return loaded if isinstance(loaded, dict) else {}


def plain(value: Any) -> Any:
    """``value`` as JSON knows it: times as ISO text, NaN and infinity as null, whatever else as its text."""
    if isinstance(value, np.datetime64):
        return str(value)
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset | np.ndarray):
        return [plain(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def storable(text: str) -> str:
    """``text`` as every database can keep it: no NUL, no lone surrogates, not endless, no passwords."""
    clean = text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    clean = masked(clean)
    return clean if len(clean) <= LONGEST_TEXT else clean[: LONGEST_TEXT - 1] + "…"


metadata = MetaData()

migrations = Table(
    "forecast_migrations",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("applied_at", Moment, nullable=False),
)

claims = Table(
    "forecast_claims",
    metadata,
    Column("job", Text, primary_key=True),
    Column("slot", Moment, primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("nonce", Text, nullable=False),
    Column("owner", Text),  # empty when nobody has the slot
    Column("process", Text, nullable=False),
    Column("lease", Float, nullable=False),
    Column("claimed_at", Moment, nullable=False),
    Column("heartbeat", Moment, nullable=False),
)

runs = Table(
    "forecast_runs",
    metadata,
    Column("run", Text, primary_key=True),
    Column("job", Text, nullable=False),
    Column("slot", Moment, nullable=False),
    Column("version", Integer, nullable=False),
    Column("repeat", Integer, nullable=False),
    Column("cutoff", Text, nullable=False),
    Column("data_hash", Text, nullable=False),
    Column("model_hash", Text, nullable=False),
    Column("config_hash", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("owner", Text, nullable=False),
    Column("planned_at", Moment, nullable=False),
    Column("computed_at", Moment),
    Column("staged_at", Moment),
    Column("committed_at", Moment),
    Column("failed_at", Moment),
    Column("counts", Facts, nullable=False),
    Column("facts", Facts, nullable=False),
    Column("error", Text),
)

events = Table(
    "forecast_run_events",
    metadata,
    Column("run", Text, primary_key=True),
    Column("token", BigInteger, primary_key=True),
    Column("state", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("seconds", Float),
    Column("note", Text),
)

skipped = Table(
    "forecast_skipped",
    metadata,
    Column("job", Text, primary_key=True),
    Column("slot", Moment, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("noted_at", Moment, nullable=False),
)
