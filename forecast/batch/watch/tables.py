"""The watch's own tables, beside the ledger's in the same database. A migration makes them; a test compares the two.

Slots and other points in time are whole microseconds since 1970 in UTC, stamps of the data as
:func:`forecast.batch.watch.actuals.whole` writes them.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Double, MetaData, Table, Text

from forecast.batch.watch.scores import LEVEL_SUMS, POINT_SUMS, QUANTILE_SUMS

metadata = MetaData()


def _cells(name: str, keys: tuple[str, ...], others: tuple[Column[Any], ...], sums: tuple[str, ...]) -> Table:
    columns: list[Column[Any]] = [Column("run", Text, primary_key=True), Column("step", BigInteger, primary_key=True)]
    columns += [Column("source", Text, primary_key=True), Column("target", BigInteger, primary_key=True)]
    columns += [Column(key, Text, primary_key=True) for key in keys]
    return Table(f"forecast_watch_{name}", metadata, *columns, *others, *[Column(one, Double) for one in sums])


# The sums of forecast.batch.watch.scores.Tally: anything can be pooled from them.
points = _cells("points", (), (Column("model", Text, nullable=False),), POINT_SUMS)
levels = _cells("levels", ("level",), (), LEVEL_SUMS)
quantiles = _cells("quantiles", ("q",), (), QUANTILE_SUMS)

# Which stamps a run forecast, its cutoff, and up to which slot's knowledge it has been scored.
runs = Table(
    "forecast_watch_runs",
    metadata,
    Column("run", Text, primary_key=True),
    Column("job", Text, nullable=False),
    Column("slot", BigInteger, nullable=False),
    Column("cutoff", BigInteger, nullable=False),
    Column("first_target", BigInteger, nullable=False),
    Column("last_target", BigInteger, nullable=False),
    Column("scored_at", BigInteger, nullable=False),
)

# What was known of each stamp, and since which slot it has been like that.
actuals = Table(
    "forecast_watch_actuals",
    metadata,
    Column("job", Text, primary_key=True),
    Column("target", BigInteger, primary_key=True),
    Column("n", BigInteger, nullable=False),
    Column("digest", Text, nullable=False),
    Column("since", BigInteger, nullable=False),
)

# What the rows of each slot looked like.
profiles = Table(
    "forecast_watch_profiles",
    metadata,
    Column("job", Text, primary_key=True),
    Column("slot", BigInteger, primary_key=True),
    Column("series", BigInteger, nullable=False),
    Column("lag", BigInteger),
    Column("stale", Double, nullable=False),
    Column("missing", Double, nullable=False),
)

# What was said about each slot, in order.
alerts = Table(
    "forecast_watch_alerts",
    metadata,
    Column("job", Text, primary_key=True),
    Column("slot", BigInteger, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("run", Text),
    Column("kind", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("value", Double),
    Column("bound", Double),
)
