"""The ledger for people: what ``forecast runs list|show|diff`` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from forecast.batch.ledger.compare import PARTS, Difference, flat
from forecast.batch.ledger.records import RunRecord, checked_moment
from forecast.errors import ConfigError, printable, some

if TYPE_CHECKING:
    import pandas as pd

    from forecast.batch.ledger.ledger import Ledger
    from forecast.batch.ledger.slots import SlotRecord

USAGE = """\
forecast runs list [job=NAME] [state=STATE] [limit=20]   runs, the latest first
forecast runs list job=NAME as_of=TIME                   the current run of each slot, as known then
forecast runs list job=NAME state=skipped                slots that a scheduler left out, and why
forecast runs show RUN                                   one run with its history; first digits of its id suffice
forecast runs diff RUN RUN                               what changed: data, model, settings
"""
LIMIT = 20
WIDEST = 60
SILENT = timedelta(minutes=5)
UNFINISHED = ("planned", "computed", "staged")
Row = Mapping[str, Any]


def runs_text(ledger: Ledger, argv: Sequence[str]) -> str:
    """The text that ``forecast runs`` prints for ``argv``, its words after ``runs``. Raises ``ConfigError``."""
    verb, *rest = argv or ["list"]
    if verb == "list":
        return _list(ledger, _settings(rest))
    if verb == "show" and len(rest) == 1:
        return show_text(ledger.show(rest[0]))
    if verb == "diff" and len(rest) == 2:
        return diff_text(ledger.diff(*rest))
    raise ConfigError(f"forecast runs cannot do {printable(' '.join(argv))}. It can:\n{USAGE}")


def list_text(frame: pd.DataFrame, now: datetime) -> str:
    """Runs, as :meth:`.Ledger.runs` gives them, one on each line. ``now`` tells which owners have fallen silent."""
    if frame.empty:
        return "No runs.\n"
    columns: dict[str, Callable[[Row], object]] = {
        "run": lambda row: row["run"],
        "job": lambda row: row["job"],
        "slot": lambda row: _time(row["slot"]),
        "version": lambda row: row["version"],
        "state": lambda row: _state(row, now),
        "cutoff": lambda row: row["cutoff"],
        "took": lambda row: _seconds(row["seconds"]),
        "committed": lambda row: _time(row["committed_at"]),
        "notes": lambda row: row["error"] or _pairs(row["counts"]),
    }
    rows: list[Row] = [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
    return _table(columns, [[cell(row) for cell in columns.values()] for row in rows])


def skipped_text(slots: Sequence[SlotRecord]) -> str:
    """Slots that were skipped, one on each line."""
    if not slots:
        return "No slot was skipped.\n"
    rows = [(_time(slot.slot), _time(slot.at), _cell(slot.reason, 3 * WIDEST)) for slot in slots]
    return "".join(f"{when}  noted {noted}  {reason}\n" for when, noted, reason in rows)


def show_text(run: RunRecord) -> str:
    """One run: what it is, what it used, what it made and what happened."""
    lines = [
        f"run {run.run}: {run.state}, version {run.version} of {_time(run.slot)}, job {run.job}",
        f"  cutoff    {run.cutoff}",
        f"  owner     {run.owner}, token {run.token}, last sign of life {_time(run.heartbeat) or 'none'}",
        f"  data      {run.data_hash}",
        f"  model     {run.model_hash}",
        f"  settings  {run.config_hash}",
    ]
    lines += [f"  error     {_cell(run.error, 10 * WIDEST)}"] if run.error else []
    for title, facts in (("counts", run.counts), ("facts", run.facts)):
        pairs = flat(facts)
        width = max((len(name) for name in pairs), default=0)
        lines += ["", title] if pairs else []
        lines += [f"  {_cell(name):<{width}}  {_cell(value)}" for name, value in pairs.items()]
    rows = [(e.token, e.state, _time(e.at), _seconds(e.seconds), e.owner, e.note) for e in run.history]
    table = _table(("attempt", "state", "at", "took", "owner", "note"), rows)
    return "\n".join([*lines, "", "history", *(f"  {line}" for line in table.splitlines())]) + "\n"


def diff_text(difference: Difference) -> str:
    """What changed between two runs, part by part."""
    first, second = difference.first, difference.second
    lines = [f"{run.run}  {run.job}  {_time(run.slot)}  version {run.version}  {run.state}" for run in (first, second)]
    new = (difference.new_data, difference.new_model, difference.new_settings)
    hashes = ("data_hash", "model_hash", "config_hash")
    for part, changed, name in zip(PARTS, new, hashes, strict=True):
        told = f"new: {getattr(first, name)} -> {getattr(second, name)}" if changed else "the same"
        lines += ["", f"{part}: {_cell(told, 3 * WIDEST)}", *_changes(difference.part(part))]
    rest = _changes(difference.part(""))
    return "\n".join([*lines, *(["", "runs", *rest] if rest else [])]) + "\n"


def _list(ledger: Ledger, settings: dict[str, str]) -> str:
    unknown = sorted(set(settings) - {"job", "state", "limit", "as_of"})
    if unknown:
        raise ConfigError(f"forecast runs list has no setting {some(unknown)}. It is:\n{USAGE}")
    job, state, limit = settings.get("job"), settings.get("state"), settings.get("limit", str(LIMIT))
    if not limit.isdecimal():
        raise ConfigError(f"limit={printable(limit)} must be a whole number.")
    if state == "skipped":
        if job is None or "as_of" in settings:
            raise ConfigError("state=skipped needs job=NAME, and no as_of.")
        return skipped_text(ledger.slots().skipped(job, int(limit)))
    if "as_of" not in settings:
        return list_text(ledger.runs(job, state, int(limit)), ledger.clock())  # type: ignore[arg-type]
    if job is None or state is not None:
        raise ConfigError("as_of=TIME needs job=NAME, and no state: it lists what was committed then.")
    known = ledger.committed(job, checked_moment(_parsed(settings["as_of"]), "as_of"))
    return list_text(known.iloc[::-1].head(int(limit)), ledger.clock())


def _settings(words: Iterable[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in words]
    wrong = [name for name, sign, _ in pairs if not sign]
    if wrong:
        raise ConfigError(f"{some(wrong)}: settings are NAME=VALUE.\n{USAGE}")
    return {name: value for name, _, value in pairs}


def _parsed(text: str) -> datetime:
    """``text`` as a time; one without a zone is in UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"as_of={printable(text)} is not a time. Write 2026-03-01T06:00Z.") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _state(row: Row, now: datetime) -> str:
    sign = row["heartbeat"]
    if row["state"] not in UNFINISHED or sign is None or not now - sign > SILENT:  # NaT: nothing is longer
        return str(row["state"])
    return f"{row['state']}, silent"


def _changes(changes: Mapping[str, tuple[Any, Any]]) -> list[str]:
    width = max((len(name) for name in changes), default=0)
    return [
        f"  {_cell(name):<{width}}  {_cell(old) or '–'} -> {_cell(new) or '–'}" for name, (old, new) in changes.items()
    ]


def _pairs(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in flat(facts).items())


def _table(head: Iterable[str], rows: Sequence[Sequence[object]]) -> str:
    cells = [list(head), *([_cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    return "\n".join(lines) + "\n"


def _cell(value: object, widest: int = WIDEST) -> str:
    """``value`` on one line and of bounded width; characters that could steer a terminal are escaped."""
    value = f"{value:.6g}" if isinstance(value, float) else value
    text = "" if value is None else " ".join(str(value).split())
    text = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
    return text if len(text) <= widest else text[: widest - 1] + "…"


def _time(moment: datetime | None) -> str:
    if moment is None or moment != moment:  # NaT differs from itself
        return ""
    return moment.strftime("%Y-%m-%d %H:%M:%SZ")


def _seconds(seconds: float | None) -> str:
    if seconds is None or seconds != seconds:
        return ""
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
