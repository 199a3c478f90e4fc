"""Many series as flat values plus offsets."""
