"""What ``forecast --help`` and the help of each command say."""

from __future__ import annotations

from forecast.batch.words import HELP as BATCH_HELP

USAGE = """\
forecast: time-series forecasting with recurrent networks

  forecast data list                                    data sets that come along or can be fetched
  forecast data inspect sales.parquet                   what is in a table, its faults, and a ready schema
  forecast backtest data=elnino model=lstm              score a model beside the baselines, write a report
  forecast backtest data=sales.parquet h=28 freq=D      the same on a table of your own
  forecast backtest -m model=rnn,lstm,gru               a sweep: one run for each value
  forecast fit data=sales.parquet h=28 output=model     train on everything and save
  forecast predict model=model data=new.csv level=[90]  forecast with a saved model
  forecast report run=runs/backtest/…                   write the report of a run again
  forecast describe PATH                                what a saved model is
  forecast batch job=nightly                            run a job of conf/batch, or of the folder $FORECAST_JOBS, once
  forecast batch job=nightly --from 2026-01-01          run the slots of the past
  forecast schedule job=nightly                         run it at its slots, for ever
  forecast runs list job=nightly                        what ran; runs show RUN, runs diff RUN RUN
  forecast rollback job=nightly                         back to the model before

Settings are key=value: forecast COMMAND --help lists them. A table has one row per series and time, with the
columns unique_id, ds and y (or name yours with data.id_col=, data.time_col=, data.target_col=).

  -h, --help    this text, or a command's        --version    versions in use
  --debug       full tracebacks                  progress=false    silence

Exit codes: 0 done · 1 unexpected · 2 configuration · 3 partly done · 4 data · 5 training · 6 saved model · 7 download ·
            8 storage · 9 already running · 10 done, but alerts · 130 and 143 interrupted
"""

HELP = {
    "backtest": """\
forecast backtest: score models on rolling cutoffs; writes forecasts.parquet, scores.csv, run.json and report.html

  forecast backtest data=elnino model=segrnn trainer.max_time=60
  forecast backtest data=sales.parquet h=28 freq=D n_windows=3 baselines=[naive,seasonal_naive,ets]
  forecast backtest -m model=lstm,gru data.input_size=48,168

  data=NAME|FILE      data set (forecast data list) or CSV/Parquet file; a column "split" of train/test is obeyed
  model=NAME          {models}
  model.KEY=VALUE     model.hidden_size=128, model.quantiles=[0.1,0.9] … (conf/model/NAME.yaml)
  trainer=NAME        default, or stateful: along whole series, for nets that read row by row (lstm, gru, rnn)
  trainer.KEY=VALUE   max_steps, max_time, batch_size, learning_rate, precision … (conf/trainer/default.yaml)
  transforms=[…]      of the target: log1p, boxcox, difference, standard … or [{name: seasonal_difference, season: 24}];
                      non_negative=true, integer=true, bias_corrected=true
  data.KEY=VALUE      input_size, season_length, id_col, time_col, target_col, missing, duplicates, on_bad_series
  data.static=FILE    a table with a row for each series: id and static features; data.stat_exog=[…] names those to use
  data.hist_exog=[…]  columns known up to the cutoff; data.futr_exog=[…] those known into the future
  data.calendar=auto  nets know the time of day, week, month, year; data.holidays=DE (DE-BY, US, XNYS …) the holidays
  h, freq, seed       horizon in steps, frequency ("h", "D", "W-SUN", "MS" … or an integer step), random seed
  n_windows, step_size, refit, val_size, level, quantiles, baselines, progress
  report.enabled, report.title, hydra.run.dir=FOLDER
  report.importance=false    do not measure what each covariate is worth; report.importance_time=60 seconds at most
""",
    "fit": """\
forecast fit: train a model on everything and save it

  forecast fit data=elnino model=lstm output=elnino-model
  forecast fit data=sales.parquet h=28 freq=D trainer.max_time=120

  data=NAME|FILE, model=NAME, model.KEY=, trainer.KEY=, data.KEY=, h, freq, seed, val_size, transforms,
  non_negative, integer, bias_corrected, progress: as in backtest
  model=NAME          {models}
  level, quantiles    what a net with model.quantiles learns to tell besides those
  output=FOLDER       where the model goes; the run folder by default
""",
    "predict": """\
forecast predict: forecast with a saved model

  forecast predict model=elnino-model
  forecast predict model=elnino-model data=new.csv h=12 level=[80,95] output=forecasts.csv

  model=FOLDER        what forecast fit wrote
  data=NAME|FILE      new history; by default the history that was saved with the model
  static=FILE         static features of series that are new; cold_start forecasts those that have no rows, too
  futr=FILE           the columns of data.futr_exog, a row for each series and step to forecast
  h, level, quantiles, statistics=[mean,median], samples=100, output=FILE.csv|FILE.parquet, progress
""",
    "report": """\
forecast report: write the HTML report of a backtest again

  forecast report run=runs/backtest/2026-01-31_12-00-00-a1b2c3 title="Monthly review"

  run=FOLDER          run folder of a backtest
  output=FILE.html, title=TEXT
""",
    "describe": "forecast describe PATH: what a saved model is: classes, sizes, data, training, versions\n",
    "data": """\
forecast data list: data sets that come along or can be fetched
forecast data show NAME: where one is from, its licence, columns and size
forecast data fetch NAME …: download now, to the cache; FORECAST_DATA_DIR=FOLDER reads local copies instead
forecast data inspect FILE|NAME: which column plays which part and why, frequency, gaps, faults, and a ready schema

  forecast data inspect sales.csv time_col=week target_col=sales output=settings/data/sales.yaml

  id_col=, time_col=, target_col=, freq=    what you know already
  output=FILE.yaml                          write the schema there; forecast fit --config-dir settings data=sales
  Exit code 4 when there are faults to mend.
""",
    **BATCH_HELP,
}
