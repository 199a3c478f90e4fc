"""What the sessions of SQLite and PostgreSQL have in common: SQLAlchemy's connection, and the driver below it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection


class AlchemySession:
    """Half of a :class:`forecast.batch.sinks.tables.Session`."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def quote(self, name: str) -> str:
        """See the protocol."""
        return self.connection.dialect.identifier_preparer.quote_identifier(name)

    def run(self, statement: str, **values: Any) -> list[Any]:
        """See the protocol."""
        from sqlalchemy import text

        result = self.connection.execute(text(statement), values)
        return list(result) if result.returns_rows else []

    def time(self, value: Any) -> Any:
        """See the protocol."""
        return value.to_pydatetime() if hasattr(value, "to_pydatetime") else value

    @contextmanager
    def driver(self) -> Iterator[Any]:
        """The driver's own connection, for what would be slow through SQLAlchemy; its errors come as SQLAlchemy's."""
        from sqlalchemy.exc import DBAPIError

        dialect = self.connection.dialect
        kind: Any = dialect.loaded_dbapi
        driver: Any = self.connection.connection.driver_connection
        try:
            yield driver
        except kind.Error as error:
            lost = bool(getattr(driver, "broken", False) or getattr(driver, "closed", False))
            if lost:
                self.connection.invalidate()
            raise DBAPIError.instance("rows of a run", None, error, kind.Error, True, lost, dialect) from error
