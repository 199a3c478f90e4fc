"""``make bench``: tables of speed and accuracy. Nothing here asserts a time.

``python -m tests.benchmarks [ingest] [gather] [training] [predict] [stateful] [startup] [batch] [accuracy] [covariates] [tradeoff] [uncertainty] [quantiles] [peers]`` runs the parts named, or all.
Alternatives take turns within one run, and ratios are medians over the turns, because machines are noisy.
"""

from __future__ import annotations

import sys

from tests.benchmarks import (
    accuracy,
    batch,
    covariates,
    gather,
    ingest,
    peer_race,
    predict,
    quantiles,
    startup,
    stateful,
    tradeoff,
    training,
    uncertainty,
)

PARTS = {
    "ingest": ingest.main,
    "gather": gather.main,
    "training": training.main,
    "predict": predict.main,
    "stateful": stateful.main,
    "startup": startup.main,
    "batch": batch.main,
    "accuracy": accuracy.main,
    "covariates": covariates.main,
    "tradeoff": tradeoff.main,
    "uncertainty": uncertainty.main,
    "quantiles": quantiles.main,
    "peers": peer_race.main,
}


def run(names: list[str]) -> int:
    """Run the parts called ``names`` (all of them when empty)."""
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        print(f"no part {', '.join(unknown)}; known: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    for name in names or PARTS:
        print(f"\n== {name}: {(PARTS[name].__doc__ or '').strip().splitlines()[0]}", flush=True)
        PARTS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
