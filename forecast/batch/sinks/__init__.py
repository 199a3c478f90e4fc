"""Where forecasts go: folders of files and databases, each old or new, never half."""
