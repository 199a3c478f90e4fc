"""From whatever the user has to a panel: read, validate once at the door, normalise."""
