"""How to go on from an inspected table: a file of settings, a command line, a few lines of Python."""

from __future__ import annotations

import re
import shlex
import textwrap
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import yaml

from forecast.aliases import EACH, Freq, plain_freq
from forecast.ingest.read import PARQUET
from forecast.ingest.survey import Survey
from forecast.schema import Schema

PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
WORDS = {"null", "true", "false", "nan", "inf"}  # that Hydra does not take for text
LONGEST_SEASON = 60  # steps that are still a horizon anybody might ask for
WITHOUT_SEASON = 8
LONGEST_LINE = 100


@dataclass(frozen=True)
class Recipe:
    """What was found out about a table, as settings.

    Attributes:
        source: the file, or ``frame``.
        schema: the roles.
        survey: what the series are like.
        joined: columns that make up the id together, none where one does.
        separator: what stands between them.
        wide: the column of times of a table with one column per series; empty for a long one.
        data_set: whether ``source`` is the name of a data set instead.
    """

    source: str
    schema: Schema
    survey: Survey
    joined: tuple[Any, ...] = ()
    separator: str = ""
    wide: str = ""
    data_set: bool = False

    @property
    def is_file(self) -> bool:
        """Whether the table came from a file."""
        return self.source != "frame" and not self.data_set

    @property
    def name(self) -> str:
        """What to call the settings."""
        stem = PurePath(self.source).name.split(".")[0]
        return re.sub(r"\W+", "_", stem) or "data"

    @property
    def path(self) -> str:
        """The file to forecast from: another one where the table has to be prepared, or was no file."""
        if self.data_set or (self.is_file and not (self.joined or self.wide)):
            return self.source
        return f"{self.name}-long.parquet"

    @property
    def freq(self) -> Freq | None:
        """The frequency; ``"each"`` for several, ``None`` where there is none."""
        if self.survey.several:
            return EACH
        return self.survey.grids[0].freq if self.survey.grids else None

    @property
    def h(self) -> int:
        """Steps to forecast that would make sense: a season, if series are long enough for it."""
        if not self.survey.grids:
            return 1
        grid = max(self.survey.grids, key=lambda one: len(one.ids))
        usual = grid.season_length if 1 < grid.season_length <= LONGEST_SEASON else WITHOUT_SEASON
        return int(max(1, min(usual, int(sorted(grid.lengths)[len(grid.lengths) // 2]) // 4)))

    @property
    def preparation(self) -> str:
        """Python that makes a table that can be used; empty where it can be used as it is."""
        if not (self.joined or self.wide):
            return ""
        reader = "read_parquet" if self.source.lower().endswith(PARQUET) else "read_csv"
        lines = ["import pandas as pd", "from forecast import wide_to_long"] if self.wide else ["import pandas as pd"]
        lines += [f"frame = pd.{reader}({self.source!r})"] if self.is_file else []
        if self.wide:
            lines.append(f"frame = wide_to_long(frame, time_col={self.wide!r})")
        else:
            parts = f" + {self.separator!r} + ".join(f"frame[{name!r}].astype(str)" for name in self.joined)
            lines.append(f"frame[{self.schema.id_col!r}] = {parts}")
        return "\n".join([*lines, *([f"frame.to_parquet({self.path!r})"] if self.is_file else [])])

    @property
    def yaml(self) -> str:
        """A file for the folder ``data`` of a configuration folder, complete with what ``data/file.yaml`` has."""
        schema, freq = self.schema, self.freq
        head = {"path": self.path, "h": self.h, "freq": None if freq in (None, EACH) else plain_freq(freq)}
        names = {"id_col": schema.id_col, "time_col": schema.time_col, "target_col": schema.target_col}
        roles = {
            "stat_exog": None if schema.stat_exog is None else list(schema.stat_exog),
            "hist_exog": list(schema.hist_exog),
            "futr_exog": list(schema.futr_exog),
        }
        notes = [
            f"# Proposed by forecast data inspect: read it, then save it as FOLDER/data/{self.name}.yaml and run",
            f"#   forecast fit --config-dir FOLDER data={self.name} output=MODEL",
            "# h is yours to choose.",
        ]
        if freq == EACH:
            notes.append("# The series have several frequencies, which takes Python: see below.")
        body = yaml.safe_dump(
            {"defaults": ["file", "_self_"], **head, **names, **roles}, sort_keys=False, allow_unicode=True, width=110
        )
        return "\n".join([*notes, body])

    @property
    def command(self) -> str:
        """The same for the command line."""
        usual = Schema()
        words = [f"data={self.path}", f"h={self.h}"]
        if self.freq is not None:
            words.append(f"freq={_word(self.freq)}")
        for role in ("id_col", "time_col", "target_col"):
            name = getattr(self.schema, role)
            if name != getattr(usual, role):
                words.append(f"data.{role}={_word(name)}")
        for role in ("stat_exog", "hist_exog", "futr_exog"):
            names = getattr(self.schema, role)
            if names:
                words.append(f"data.{role}=[{','.join(map(_word, names))}]")
        return " ".join(["forecast fit", *map(shlex.quote, words), "output=MODEL"])

    @property
    def python(self) -> str:
        """The same in Python."""
        usual = Schema()
        options: dict[str, Any] = {"h": self.h, "freq": self.freq}
        for role in ("id_col", "time_col", "target_col", "stat_exog", "hist_exog", "futr_exog"):
            value = getattr(self.schema, role)
            if value != getattr(usual, role):
                options[role] = list(value) if isinstance(value, tuple) else value
        given = "".join(f"    {name}={_listed(value)},\n" for name, value in options.items())
        data = repr(self.path) if self.is_file else f"load_dataset({self.source!r})" if self.data_set else "frame"
        lines = [
            f"from forecast import Forecaster{', load_dataset' if self.data_set else ''}",
            f'fc = Forecaster(\n    "segrnn",\n{given})',
            f"fc.fit({data})",
        ]
        if self.schema.futr_exog:
            lines += ["future = fc.make_future_frame()  # the rows to come: fill in the columns of futr_exog"]
            lines += ["fc.predict(futr_df=future)"]
        else:
            lines.append("fc.predict(level=[80, 95])")
        return "\n".join(lines)


def _listed(value: Any) -> str:
    """A value as Python, a long list over several lines."""
    text = repr(value)
    if not isinstance(value, list) or len(text) <= LONGEST_LINE:
        return text
    items = textwrap.wrap(", ".join(map(repr, value)) + ",", LONGEST_LINE, break_long_words=False)
    return "\n".join(["[", *(f"        {line}" for line in items), "    ]"])


def _word(value: object) -> str:
    """A value as Hydra reads it back: what is not plain text goes between quotes."""
    text = str(value)
    if isinstance(value, int) or (PLAIN.fullmatch(text) and text.lower() not in WORDS and not _is_number(text)):
        return text
    escaped = re.sub(r"(\\*)(?='|$)", lambda match: 2 * match[1], text).replace("'", "\\'")
    return f"'{escaped}'"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
