"""Events that a mixture is worth: from its honest variance, and as far as it is from the truth.

Ensembles of trained flows of Z and W events (those of `make calibration`), regions between
quantiles of each feature.  The analytic 1/G is n_train times the claimed variance of the regions'
contents over their multinomial one; the quantile measure has the distance from held-out truth.
One mixture is one draw of its errors: the mean over features and ensembles compares.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from verisimile.checks.amplification.analytic import analytic
from verisimile.checks.amplification.quantile import quantile
from verisimile.core.arrays import Array, IntArray
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.mixture.bind import fit_mixture

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from honest_processes import ENSEMBLES, PROCESSES

REGIONS, GENERATED = 16, 100_000


@dataclass(frozen=True)
class Slices:
    """Regions between inner edges ``(R - 1,)`` of one feature."""

    column: int
    inner: Array

    @property
    def count(self) -> int:
        """Number of regions R."""
        return self.inner.size + 1

    def of(self, x: Array) -> IntArray:
        """Return the region of each event."""
        return np.searchsorted(self.inner, x[:, self.column]).astype(np.int64)


def main() -> None:
    """Print one line per mixture and feature, then the means."""
    for name in ("Z", "W"):
        process, rows = PROCESSES[name], []
        truth = process.truth()
        for k in range(ENSEMBLES):
            unseen = np.delete(
                process.events(), slice(k * process.n_train, (k + 1) * process.n_train), axis=0
            )
            run = Run(Seeds(51).at(name, k))
            order = run.seeds.at("order").numpy().permutation(len(unseen))
            fitted, held = np.split(unseen[order], [process.n_fit])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                events = Events(fitted, features=process.features)
                mixture = fit_mixture(run, process.ensemble(k), events)
                drawn = Events(mixture.draw(GENERATED, run).x, features=process.features)
                holdout = Events(held, features=process.features)
                for j, feature in enumerate(process.features):
                    inner = np.quantile(truth[:, j], np.arange(1, REGIONS) / REGIONS)
                    regions = Slices(j, inner)
                    claimed = analytic(run, mixture, regions, n_train=process.n_fit)
                    found = quantile(
                        run, drawn, holdout, n_train=process.n_fit, regions=[regions]
                    ).points[0]
                    low, high = found.interval(0.95).low, found.interval(0.95).high
                    value = claimed.inverse_gain.value
                    rows.append((value, found.inverse_gain.value, low <= value <= high))
                    print(
                        f"{name} {k} {feature.name:13s} 1/G claimed {rows[-1][0]:.2f},"
                        f" quantile measure {rows[-1][1]:.2f} [{low:.2f}, {high:.2f}]",
                        flush=True,
                    )
        claims, measured, inside = np.array(rows, dtype=np.float64).T
        error = measured.std(ddof=1) / np.sqrt(measured.size)
        print(
            f"{name}: 1/G claimed {claims.mean():.2f},"
            f" measured {measured.mean():.2f} ± {error:.2f};"
            f" inside of the 95 % interval in {inside.sum():.0f} of {inside.size}",
            flush=True,
        )


if __name__ == "__main__":
    main()
