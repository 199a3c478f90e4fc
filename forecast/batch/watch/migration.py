"""How the watch's tables come into the ledger's database: a step of :data:`forecast.batch.ledger.migrations`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

CELL = "run TEXT NOT NULL, step BIGINT NOT NULL, source TEXT NOT NULL, target BIGINT NOT NULL"
STATEMENTS = (
    """CREATE TABLE forecast_watch_runs (
        run TEXT NOT NULL PRIMARY KEY, job TEXT NOT NULL, slot BIGINT NOT NULL, cutoff BIGINT NOT NULL,
        first_target BIGINT NOT NULL, last_target BIGINT NOT NULL, scored_at BIGINT NOT NULL)""",
    """CREATE TABLE forecast_watch_profiles (
        job TEXT NOT NULL, slot BIGINT NOT NULL, series BIGINT NOT NULL, lag BIGINT, stale DOUBLE PRECISION NOT NULL,
        missing DOUBLE PRECISION NOT NULL, PRIMARY KEY (job, slot))""",
    """CREATE TABLE forecast_watch_actuals (
        job TEXT NOT NULL, target BIGINT NOT NULL, n BIGINT NOT NULL, digest TEXT NOT NULL, since BIGINT NOT NULL,
        PRIMARY KEY (job, target))""",
    f"""CREATE TABLE forecast_watch_points (
        {CELL}, model TEXT NOT NULL, n DOUBLE PRECISION, n_scaled DOUBLE PRECISION,
        absolute DOUBLE PRECISION, scaled DOUBLE PRECISION, "symmetric" DOUBLE PRECISION, signed DOUBLE PRECISION,
        signed_scaled DOUBLE PRECISION, size DOUBLE PRECISION, PRIMARY KEY (run, step, source, target))""",
    f"""CREATE TABLE forecast_watch_levels (
        {CELL}, level TEXT NOT NULL, n DOUBLE PRECISION, covered DOUBLE PRECISION, width DOUBLE PRECISION,
        PRIMARY KEY (run, step, source, target, level))""",
    f"""CREATE TABLE forecast_watch_quantiles (
        {CELL}, q TEXT NOT NULL, n DOUBLE PRECISION, pinball DOUBLE PRECISION, size DOUBLE PRECISION,
        PRIMARY KEY (run, step, source, target, q))""",
    """CREATE TABLE forecast_watch_alerts (
        job TEXT NOT NULL, slot BIGINT NOT NULL, number BIGINT NOT NULL, run TEXT, kind TEXT NOT NULL,
        severity TEXT NOT NULL, message TEXT NOT NULL, place TEXT NOT NULL, value DOUBLE PRECISION,
        bound DOUBLE PRECISION, PRIMARY KEY (job, slot, number))""",
)


def watch_tables(connection: Connection) -> None:
    """Scores of runs by step and source, what was known of each stamp, what the rows looked like, and alerts."""
    for statement in STATEMENTS:
        connection.exec_driver_sql(statement)
