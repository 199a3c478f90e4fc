"""Forecast frames as Arrow tables, and those as Parquet and CSV."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from forecast.batch.form import KEYS, NOTES, Form

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

Between = tuple[Any, Any] | None
CHUNK = 100_000  # rows of a piece of CSV: some 20 MB at a time
# What makes a spreadsheet run a cell; ' before it makes the cell text. Quotes already there are kept apart by one more.
RISKY = r"\A('*[=+\-@\t\r\n])"
ESCAPED = r"\A'('*[=+\-@\t\r\n])"


def table_of(frame: pd.DataFrame) -> pa.Table:
    """``frame`` as an Arrow table without copying numbers; NaN is null."""
    import pyarrow as pa

    return pa.Table.from_pandas(frame, preserve_index=False)


def schema_of(form: Form) -> pa.Schema:
    """The Arrow types of ``form``; aware stamps are UTC."""
    import pyarrow as pa

    stamps = {"integer": pa.int64(), "naive": pa.timestamp("us"), "aware": pa.timestamp("us", "UTC")}[form.times]
    types = dict.fromkeys(form.outputs, pa.float64()) | dict.fromkeys(("model", *NOTES), pa.large_string())
    types |= {"cutoff": stamps, "ds": stamps, "step": pa.int64()}
    types["unique_id"] = pa.int64() if form.ids == "integer" else pa.large_string()
    return pa.schema([(name, types[name]) for name in form.columns])


def frame_of(table: pa.Table, form: Form) -> pd.DataFrame:
    """``table``, which is used up by it, as a frame with the types of ``form``."""
    return form.conform(table.to_pandas(ignore_metadata=True, split_blocks=True, self_destruct=True))


def within(form: Form, between: Between) -> pc.Expression | None:
    """Which rows have their ``ds`` between the two, both included; ``None`` for all."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if between is None:
        return None
    kind = schema_of(form).field("ds").type
    first, last = (pa.scalar(value, kind) for value in between)
    return (pc.field("ds") >= first) & (pc.field("ds") <= last)


class Parquet:
    """One file: ids as text, stamps with their zone, columns compressed."""

    suffix = ".parquet"

    def write(self, frame: pd.DataFrame, file: IO[bytes], facts: dict[str, str], escape: bool = False) -> None:
        """``frame`` into ``file``; ``facts`` become key and value metadata."""
        import pyarrow.parquet as pq

        table = table_of(frame)
        table = table.replace_schema_metadata({**(table.schema.metadata or {}), **facts})
        # Only repeating columns gain from a dictionary, and from zstd: of the numbers it saves a twentieth, for as much
        # time as all the rest takes. Snappy lets go of them at once, but still packs a forecast that is the same
        # at every step.
        repeating = [name for name in frame.columns if name in (*KEYS, *NOTES)]
        packing = {name: "zstd" if name in repeating else "snappy" for name in frame.columns}
        levels = dict.fromkeys(repeating, 1)
        pq.write_table(table, file, compression=packing, compression_level=levels, use_dictionary=repeating)

    def rows(self, path: Path, form: Form) -> int:
        """How many rows the footer says."""
        import pyarrow.parquet as pq

        return int(pq.read_metadata(path).num_rows)

    def read(self, path: Path, form: Form, escaped: bool = False, between: Between = None) -> pd.DataFrame:
        """What :meth:`write` was given; with ``between`` the rows whose ``ds`` lies between the two."""
        import pyarrow.parquet as pq

        # Without partitioning=None a folder named slot=… above the file would become a column.
        rows = within(form, between)
        return frame_of(pq.read_table(path, columns=list(form.columns), partitioning=None, filters=rows), form)


class Csv:
    """One file: a header line, comma separated, text quoted, numbers to the last digit, aware stamps in UTC."""

    suffix = ".csv"

    def write(self, frame: pd.DataFrame, file: IO[bytes], facts: dict[str, str], escape: bool = False) -> None:
        """``frame`` into ``file``; with ``escape`` text that a spreadsheet would run gets a ``'`` in front."""
        for piece in csv_pieces(table_of(frame), escape, header=True):
            file.write(piece)

    def rows(self, path: Path, form: Form) -> int:
        """How many rows can be read."""
        return int(_parsed(path, form).num_rows)

    def read(self, path: Path, form: Form, escaped: bool = False, between: Between = None) -> pd.DataFrame:
        """As :meth:`Parquet.read`; with ``escaped`` exactly what :meth:`write` put in front is taken away."""
        rows, table = within(form, between), _parsed(path, form)
        table = table if rows is None else table.filter(rows)
        return frame_of(_replaced(table, ESCAPED) if escaped else table, form)


FORMATS: dict[str, Parquet | Csv] = {"parquet": Parquet(), "csv": Csv()}


def csv_pieces(table: pa.Table, escape: bool = False, header: bool = False) -> Iterator[bytes]:
    """``table`` as CSV in pieces: text in quotes, null as nothing at all."""
    import io

    from pyarrow import csv

    for start in range(0, max(table.num_rows, 1), CHUNK):
        piece = table.slice(start, CHUNK)
        buffer = io.BytesIO()
        options = csv.WriteOptions(include_header=header and start == 0, batch_size=8192)
        csv.write_csv(_replaced(piece, RISKY, "'") if escape else piece, buffer, options)
        yield buffer.getvalue()


def parse_csv(file: Any, form: Form, header: bool = True) -> pa.Table:
    """CSV with the columns of ``form`` as a table; nothing is null, nothing in quotes is empty text."""
    from pyarrow import csv

    schema = schema_of(form)
    return csv.read_csv(
        file,
        csv.ReadOptions(column_names=None if header else schema.names, block_size=2**24),
        csv.ParseOptions(newlines_in_values=True),
        csv.ConvertOptions(
            column_types=schema,
            include_columns=schema.names,
            null_values=[""],
            strings_can_be_null=False,
            quoted_strings_can_be_null=False,
        ),
    )


def _parsed(path: Path, form: Form) -> pa.Table:
    return parse_csv(str(path), form)


def _replaced(table: pa.Table, pattern: str, before: str = "") -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    for place, field in enumerate(table.schema):
        if pa.types.is_large_string(field.type) or pa.types.is_string(field.type):
            column = pc.replace_substring_regex(table.column(place), pattern, f"{before}\\1")
            table = table.set_column(place, field, column)
    return table
