"""What the commands of scheduled forecasting say when they are asked for help."""

from __future__ import annotations

BATCH = """\
forecast batch: run a job once for its slot; what is published already from the same data is left alone

  forecast batch job=nightly                            the latest slot: of its schedule, or of its freq
  forecast batch job=nightly as_of=2026-01-31           as if it were then: only rows known at that time
  forecast batch job=nightly --from 2026-01-01 --to 2026-01-31      every slot between, oldest first
  forecast batch job=jobs/nightly.yaml h=14 model.name=lstm         settings replaced

  job=NAME|FILE.yaml  conf/batch/NAME.yaml, or NAME.yaml in the folder $FORECAST_JOBS
  KEY=VALUE           any setting of the job: conf/batch/default.yaml lists them all
  --check-only        read the data and hold them against the contract; write nothing
  --dry-run           say what would be done; write nothing

Exit codes: 0 done, or nothing to do · 2 configuration · 3 done, but some series by a fallback or quarantined · 4 data
            8 storage (kept in the local spool while the sink is away) · 9 already running · 10 done, but alerts
            130 and 143 interrupted
"""
RUNS = """\
forecast runs: what ran, from the ledger of a job

  forecast runs list job=nightly [state=failed] [limit=20]          runs, the latest first
  forecast runs list job=nightly as_of=2026-01-31       the current run of each slot, as known then
  forecast runs list job=nightly state=skipped          slots that a scheduler left out, and why
  forecast runs show RUN job=nightly                    one run with its history; the first digits of its id suffice
  forecast runs diff RUN RUN job=nightly                what changed: data, model, settings

  job=NAME|FILE.yaml  whose ledger; or ledger=URL, which lists the runs of all its jobs
"""
ROLLBACK = """\
forecast rollback: withdraw the current model of a job and go back to the one before

  forecast rollback job=nightly reason="promotion week"
"""
SCHEDULE = """\
forecast schedule: start the runs of jobs at their slots, for ever; runs that were missed are caught up

  forecast schedule job=nightly
  forecast schedule job=nightly job=hourly health=schedule.json
  forecast schedule job=nightly --dry-run              read the job; when it runs, and what would be done now
  forecast schedule job=nightly --print systemd        for those who let something else do the scheduling

  job=NAME|FILE       a job with schedule.cron, as in forecast batch; several are possible
  health=FILE         JSON that says what it is doing, written again every heartbeat=60 seconds
  parallel=N          how many runs may go on at once; by default as many as there are cores
  KEY=VALUE           settings of all these jobs, as in forecast batch
  --print KIND        cron, systemd (a timer), service (systemd runs forecast schedule), airflow, kubernetes

In a job: schedule.cron, zone, catchup=none|latest|all, overlap=skip|latest|queue, max_runtime, retries, backoff, grace,
stop_grace (conf/batch/default.yaml). A run is forecast batch job=NAME as_of=SLOT, whose claim in the ledger makes it
the only one of its slot however many schedulers there are. SIGTERM and Ctrl-C are passed on, and waited for.
"""
HELP = {"batch": BATCH, "runs": RUNS, "rollback": ROLLBACK, "schedule": SCHEDULE}
