"""The watch over a job: live accuracy, drift, alerts and a report of every run.

How a run uses it, after its forecasts are committed (or after it failed, with ``frame=None``)::

    from forecast.batch.watch.facts import RunFacts
    from forecast.batch.watch.settings import WatchSettings
    from forecast.batch.watch.watch import watch
    from forecast.batch.watch.alerts import deliver, exit_code
    from forecast.batch.watch.webhook import Webhook
    from forecast.batch.watch.report import write_run_report

    facts = RunFacts(job=..., run=..., slot=..., frame=..., panel=..., season_length=..., ...)
    findings = watch(facts, ledger, sink, settings)       # never raises for storage: that becomes an alert
    webhook = Webhook(url, timeout=5.0, attempts=3)       # or None; ConfigError for a url that is not http(s)
    deliver(findings.alerts, facts, webhook)              # log lines and the webhook; never raises
    code = exit_code(findings.alerts)                     # 10 with a warning or worse among them, else 0
    write_run_report(path, facts, findings)               # one self-contained HTML file, atomically

What was known at ``facts.slot`` is all that the watch uses, so a backfill watches as the daily runs did.

The parts: :mod:`~forecast.batch.watch.actuals` joins what arrived later to what was forecast,
:mod:`~forecast.batch.watch.accuracy` keeps the scores up to date in tables beside the ledger's,
:mod:`~forecast.batch.watch.drift` and :mod:`~forecast.batch.watch.data_drift` look for what has changed,
:mod:`~forecast.batch.watch.changes` says what changed since the last run and why.
"""
