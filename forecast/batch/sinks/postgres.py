"""Forecasts in PostgreSQL, written and read by COPY."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

import pandas as pd

from forecast.batch import points
from forecast.batch.form import Form
from forecast.batch.key import Publication
from forecast.batch.sinks.alchemy import AlchemySession
from forecast.batch.sinks.columnar import CHUNK, csv_pieces, frame_of, parse_csv, schema_of, table_of
from forecast.batch.sinks.tables import KEY, Kind

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = (
    "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = to_regclass(:t) "
    "AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
)
TYPES: Mapping[Kind, str] = {
    "name": 'text COLLATE "C"',  # bytes in order, as everywhere else, and faster
    "text": "text",
    "integer": "bigint",
    "number": "double precision",
    "naive": "timestamp without time zone",
    "aware": "timestamp with time zone",
    "flag": "boolean",
}


class PostgresSession(AlchemySession):
    """See :class:`forecast.batch.sinks.tables.Session`."""

    types = TYPES
    ending = ' COLLATE "C"'

    def columns(self, table: str) -> dict[str, str]:
        """See the protocol."""
        return {str(name): str(kind) for name, kind in self.run(COLUMNS, t=self.quote(table))}

    def alone(self, what: str) -> None:
        """See the protocol."""
        number = int.from_bytes(hashlib.sha256(what.encode()).digest()[:8], "big", signed=True)
        self.run("SELECT pg_advisory_xact_lock(:number)", number=number)

    def stamp(self, slot: datetime) -> datetime:
        """See the protocol."""
        return slot.astimezone(UTC)

    def slot_of(self, value: datetime) -> datetime:
        """See the protocol."""
        return value.astimezone(UTC)

    def insert(self, table: str, publication: Publication, frame: pd.DataFrame) -> None:
        """See the protocol."""
        names = ", ".join(map(self.quote, (*KEY, *frame.columns)))
        with self.driver() as driver, driver.cursor() as cursor:
            copying = f"COPY {self.quote(table)} ({names}) FROM STDIN (FORMAT csv, ENCODING 'UTF8')"
            with cursor.copy(copying) as copy:
                for start in range(0, len(frame), CHUNK):
                    for piece in csv_pieces(_keyed(publication, frame.iloc[start : start + CHUNK])):
                        copy.write(piece)
                    points.reached("sink.rows.chunk")

    def fetch(self, statement: str, form: Form, **values: Any) -> pd.DataFrame:
        """See the protocol."""
        import pyarrow as pa

        bound = re.sub(r":(\w+)", r"%(\1)s", statement)
        tables = [schema_of(form).empty_table()]
        with self.driver() as driver, driver.cursor() as cursor:
            # So that stamps and numbers are written in full and in UTC, whatever the role's settings are.
            cursor.execute("SET LOCAL TIME ZONE 'UTC'")
            cursor.execute("SET LOCAL datestyle = 'ISO'")
            cursor.execute("SET LOCAL extra_float_digits = 1")
            with cursor.copy(f"COPY ({bound}) TO STDOUT (FORMAT csv, ENCODING 'UTF8')", values) as copy:
                lines = iter(copy)
                while text := b"".join(islice(lines, CHUNK)):
                    tables.append(parse_csv(pa.BufferReader(text), form, header=False))
        return frame_of(pa.concat_tables(tables), form)


def _keyed(publication: Publication, frame: pd.DataFrame) -> pa.Table:
    """``frame`` as a table with job, slot and run in front."""
    import pyarrow as pa

    table = table_of(frame)
    slot = pa.scalar(publication.slot.astimezone(UTC), pa.timestamp("us", "UTC"))
    for name, value in (("run", publication.run), ("slot", slot), ("job", publication.job)):
        table = table.add_column(0, name, pa.repeat(value, len(frame)))
    return table
