"""The models of a job: kept versions, the pointer to the one in use, refreshing, the gate, and what stands in."""
