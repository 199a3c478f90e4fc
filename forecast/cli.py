"""The ``forecast`` command. Hydra composes the configuration; only this file ever sees it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from forecast.batch.words import HELP as BATCH_HELP
from forecast.usage import HELP, USAGE

TABLES = ("static", "data.static", "futr")  # settings that name a file
FILE_ENDINGS = (".csv", ".parquet", ".pq", ".gz", ".tsv", ".txt")


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0
    if arguments[0] == "--version":
        return _print_versions()
    command, *rest = arguments
    if command not in HELP:
        print(f"forecast: no command {command!r}. Known: {', '.join(HELP)}; forecast --help.", file=sys.stderr)
        return 2
    if "-h" in rest or "--help" in rest:
        print(_help(command), end="")
        return 0
    from forecast.errors import ForecastError, MissingExtraError

    try:
        return _run(command, rest, debug)
    except (ForecastError, MissingExtraError) as error:
        if debug:
            raise
        return _tell(error)
    except KeyboardInterrupt:
        print("forecast: interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, head for instance, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(command: str, rest: list[str], debug: bool) -> int:
    if command == "describe":
        return _describe(rest)
    if command == "data":
        return _data(rest)
    if command in BATCH_HELP:
        return _batch(command, rest, debug)
    return _hydra(command, rest, debug)


def _help(command: str) -> str:
    text = HELP[command]
    if "{models}" not in text:
        return text
    from forecast.models import entries

    return text.replace("{models}", ", ".join(n for n, entry in entries().items() if entry.group == "model"))


def _tell(error: BaseException, which: str = "") -> int:
    from forecast.errors import exit_code

    kind = type(error).__name__
    label = f"{kind}: " if kind in ("ValueError", "TypeError") else ""
    print(f"forecast: {which}{label}{error}", file=sys.stderr)
    return exit_code(error)


def _print_versions() -> int:
    from importlib.metadata import version

    print("forecast", version("forecast"))
    for package in ("torch", "pytorch-lightning", "pandas", "numpy", "statsmodels", "scikit-learn", "hydra-core"):
        print(package, version(package))
    return 0


def _describe(rest: list[str]) -> int:
    if len(rest) != 1:
        print("forecast describe takes one path: the folder of a saved model.", file=sys.stderr)
        return 2
    import yaml

    from forecast.artifact import read_manifest

    facts = dict(read_manifest(rest[0])["facts"])
    # a model of several frequencies has the facts of each
    for model in (model for part in facts.get("frequencies", [facts]) for model in part["models"]):
        history = model.get("history", {})
        curve = history.pop("curves", [])
        losses = [point["validation_loss"] for point in curve if point["validation_loss"] is not None]
        if losses:
            history["best_validation_loss"] = min(losses)
    print(yaml.safe_dump(facts, sort_keys=False, allow_unicode=True), end="")
    return 0


def _data(rest: list[str]) -> int:
    from forecast.ingest import catalog, show

    verb, *names = rest or ["list"]
    if verb == "list" and not names:
        print(show.list_text())
    elif verb == "show" and len(names) == 1:
        print(show.show_text(names[0]))
    elif verb == "fetch" and names:
        for name in names:
            for path in catalog.fetch(name):
                print(path)
    elif verb == "inspect" and names:
        from forecast.ingest.inspection_command import inspect_command

        return inspect_command(names, print)
    else:
        print(HELP["data"], end="", file=sys.stderr)
        return 2
    return 0


def _batch(command: str, rest: list[str], debug: bool) -> int:
    if command == "schedule":
        from forecast.batch.service import schedule_command

        return schedule_command(rest, print)
    from forecast.batch import commands

    if command == "batch":
        return commands.batch(rest, debug)
    return commands.runs(rest) if command == "runs" else commands.rollback(rest)


def _hydra(command: str, rest: list[str], debug: bool) -> int:
    """Compose with Hydra and run the command, once or once for each job of a sweep."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # Hydra then raises instead of printing and exiting itself
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    from forecast.errors import ConfigError, ForecastError, MissingExtraError
    from forecast.resources import conf_dir

    _register(command)
    failures: list[tuple[str, BaseException]] = []

    def job(config: Any) -> float | None:
        from hydra.core.hydra_config import HydraConfig

        hydra_config = HydraConfig.get()
        sweep = hydra_config.mode is not None and hydra_config.mode.name == "MULTIRUN"
        try:
            return _job(command, config)
        except (ForecastError, MissingExtraError, ValueError, TypeError, OmegaConfBaseException) as error:
            # Hydra would stop the other jobs of a sweep. Alone, an error that is not ours keeps its traceback.
            if debug or not (sweep or isinstance(error, (ForecastError, MissingExtraError))):
                raise
            which = f"job {hydra_config.job.num} ({' '.join(hydra_config.overrides.task)}): " if sweep else ""
            failures.append((which, error))
            return None

    _refuse_targets(rest)
    arguments = _spelled(command, rest)
    before = sys.argv
    sys.argv = ["forecast", *arguments]
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=command)(job)()
    except (HydraException, OmegaConfBaseException) as error:
        first = " ".join(str(error).split())
        raise ConfigError(f"{first[:300]} See forecast {command} --help.") from error
    finally:
        sys.argv = before
    codes = [_tell(error, which) for which, error in failures]
    return codes[0] if codes else 0


def _job(command: str, config: Any) -> float | None:
    """One composed configuration: turn it into plain values and hand it down."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    plain: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    hydra_config = HydraConfig.get()
    run_dir = Path(hydra_config.runtime.output_dir)
    from forecast import commands

    if command in ("backtest", "fit"):
        plain["model_name"] = hydra_config.runtime.choices["model"]
    actions: dict[str, Callable[[], Any]] = {
        "backtest": lambda: commands.run_backtest(plain, run_dir),
        "fit": lambda: commands.run_fit(plain, run_dir),
        "predict": lambda: commands.run_predict(plain, run_dir),
        "report": lambda: commands.run_report(plain),
    }
    result = actions[command]()
    if command == "backtest":
        from forecast.report.ranking import rank

        print(f"Run folder: {run_dir}")
        own = result.loc[result["model"] == plain["model_name"], rank(result).metric]
        return float(own.iloc[0]) if len(own) else None
    print(result)
    return None


def _register(command: str) -> None:
    """What the yaml files refer to: a random suffix for run folders, and every data set as a choice of data=."""
    import secrets

    import yaml
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf

    from forecast.resources import conf_dir

    OmegaConf.register_new_resolver("run_id", lambda: secrets.token_hex(3), use_cache=True, replace=True)
    if command not in ("backtest", "fit"):
        return
    from forecast.ingest.catalog import cards

    blank = yaml.safe_load((conf_dir() / "data" / "file.yaml").read_text(encoding="utf-8"))
    for name, card in cards().items():
        known = {"name": name, "path": None, "h": card.h, "freq": card.freq, "season_length": card.season_length}
        ConfigStore.instance().store(group="data", name=name, node={**blank, **known})


def _refuse_targets(rest: list[str]) -> None:
    """Hydra calls whatever its own settings name as ``_target_``, before any of ours are looked at: none may."""
    from forecast.errors import ConfigError, printable

    for argument in rest:
        if "_target_" in argument and argument.lstrip("+~").startswith(("hydra.", "hydra=", "hydra/")):
            raise ConfigError(f"{printable(argument)} names something to call; Hydra's own settings may not do that.")


def _spelled(command: str, rest: list[str]) -> list[str]:
    """Arguments the way Hydra wants them: file names quoted, and not taken for the choice of a config group."""
    renamed = {"model": "saved", "data": "source"} if command == "predict" else {}
    spelled = []
    for argument in rest:
        key, _, value = argument.partition("=")
        if key == "data" and value == "null" and command == "predict":
            spelled.append("source=null")
        elif key in renamed:
            spelled.append(f"{renamed[key]}={_quoted(value)}")
        elif key == "data" and (value.lower().endswith(FILE_ENDINGS) or "/" in value):
            spelled += ["data=file", f"data.path={_quoted(value)}"]
        elif key == "training" or key.startswith("training."):  # what the notebook's argument is called
            spelled.append(argument.replace("training", "trainer", 1))
        elif key == "output" and value.lower() in ("null", ""):
            spelled.append("output=null")
        elif key in ("output", "run", "title") or (key in TABLES and value.lower() != "null"):
            spelled.append(f"{key}={_quoted(value)}")
        else:
            spelled.append(argument)
    return spelled


def _quoted(value: str) -> str:
    """``value`` between quotes, so that Hydra and OmegaConf give it back to the letter.

    Both take a backslash for an escape only right before what it could escape: ``${``, a quote, the closing quote.
    """
    import re

    literal = re.sub(r"(\\*)\$\{", lambda match: 2 * match[1] + "\\${", value)
    doubled = re.sub(r"(\\*)(?='|$)", lambda match: 2 * match[1], literal)
    return "'" + doubled.replace("'", "\\'") + "'"


if __name__ == "__main__":
    sys.exit(main())
