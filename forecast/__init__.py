"""Time-series forecasting with recurrent networks, from data frame to report.

The public names below are imported when first used: ``import forecast`` itself costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forecast.calendars import CustomBusiness
    from forecast.errors import (
        ArtifactError,
        ConfigError,
        DataError,
        DownloadError,
        ForecastError,
        ForecastWarning,
        NotFittedError,
        TrainingError,
    )
    from forecast.forecaster import Forecaster
    from forecast.ingest.catalog import load as load_dataset
    from forecast.ingest.inspection import inspect
    from forecast.ingest.wide import wide_to_long
    from forecast.intervals.calibrated import Calibrated
    from forecast.intervals.settings import Intervals
    from forecast.report.evaluate import evaluate
    from forecast.schema import Schema
    from forecast.training.settings import Training
    from forecast.transformed import Transformed

__version__ = "0.1.0"

_HOMES = {
    "ArtifactError": "forecast.errors:ArtifactError",
    "Calibrated": "forecast.intervals.calibrated:Calibrated",
    "ConfigError": "forecast.errors:ConfigError",
    "CustomBusiness": "forecast.calendars:CustomBusiness",
    "DataError": "forecast.errors:DataError",
    "DownloadError": "forecast.errors:DownloadError",
    "ForecastError": "forecast.errors:ForecastError",
    "ForecastWarning": "forecast.errors:ForecastWarning",
    "Forecaster": "forecast.forecaster:Forecaster",
    "Intervals": "forecast.intervals.settings:Intervals",
    "NotFittedError": "forecast.errors:NotFittedError",
    "Schema": "forecast.schema:Schema",
    "Training": "forecast.training.settings:Training",
    "TrainingError": "forecast.errors:TrainingError",
    "Transformed": "forecast.transformed:Transformed",
    "evaluate": "forecast.report.evaluate:evaluate",
    "inspect": "forecast.ingest.inspection:inspect",
    "load_dataset": "forecast.ingest.catalog:load",
    "wide_to_long": "forecast.ingest.wide:wide_to_long",
}

__all__ = [
    "ArtifactError",
    "Calibrated",
    "ConfigError",
    "CustomBusiness",
    "DataError",
    "DownloadError",
    "ForecastError",
    "ForecastWarning",
    "Forecaster",
    "Intervals",
    "NotFittedError",
    "Schema",
    "Training",
    "TrainingError",
    "Transformed",
    "evaluate",
    "inspect",
    "load_dataset",
    "wide_to_long",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = home.partition(":")
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
