"""Where forecasts go: folders of files and databases, each old or new, never half."""

from forecast.batch.sinks.duck import DuckDBSink
from forecast.batch.sinks.folder import FolderSink
from forecast.batch.sinks.sql import SqlSink

__all__ = ["DuckDBSink", "FolderSink", "SqlSink"]
