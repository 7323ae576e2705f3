"""Amplification of large samples: CPU and wall seconds, and memory.

The quantile measure of 10^6 generated and 10^5 holdout events with five features in 1000
regions, which are made of 2 x 10^5 of the generated ones; then a curve of ten resolutions.  Each
measurement in a fresh process, one BLAS thread.

    python benchmarks/amplification_speed.py
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from _peers import HEAD, measured

from verisimile.checks.amplification.quantile import quantile
from verisimile.checks.amplification.result import AmplificationCurve
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events

GENERATED, HOLDOUT, FEATURES = 1_000_000, 100_000, 5
CURVE = (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)


def main() -> None:
    """Print times, memory and the answer, which is no distance at all."""
    rng = np.random.default_rng(0)
    generated = Events(rng.normal(size=(GENERATED, FEATURES)))
    holdout = Events(rng.normal(size=(HOLDOUT, FEATURES)))
    print(HEAD)
    for name, counts in (("1000 regions", (1000,)), ("ten resolutions, 2 to 2000", CURVE)):
        spent = measured(_curve, generated, holdout, counts, repeats=3)
        print(spent.line(name))
    print(spent.value.at(1000))


def _curve(generated: Events, holdout: Events, counts: tuple[int, ...]) -> AmplificationCurve:
    return quantile(Run(Seeds(1)), generated, holdout, n_train=HOLDOUT, regions=counts)


if __name__ == "__main__":
    main()
