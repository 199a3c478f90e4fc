"""`auto`: candidates raced on validation windows, the best few ensembled within a time budget."""
