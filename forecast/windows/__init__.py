"""From panel to batches: choose positions, then cut there."""
