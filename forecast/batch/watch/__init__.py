"""What became of the forecasts: actuals joined later, drift, alerts, and the run report."""
