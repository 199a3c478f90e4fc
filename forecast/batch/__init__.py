"""Scheduled batch forecasting: a job, its ledger of runs, its sinks, and the watch over them."""
