"""One toy of the profile test (densities given): null fit and alternative fit.

n = 20 000 events, M = 60 members, K = 100 kernels.  Prints the time of each
part and the share of the machine's own DGEMM rate that the Hessian assembly reaches.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
from _problem import best_of, draw, family, gemm_rate, log_densities

from verisimile.checks.goodness.alternatives.kernels import GaussianKernels, LinearFits, Quantiles
from verisimile.checks.goodness.null import NullModel
from verisimile.checks.goodness.profile import HYPOTHESES, BasisDensities
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.mixture.fit import Pseudo, fit_weights
from verisimile.mixture.model import Mixture
from verisimile.mixture.objective import LogLinear

N, M, K = 20_000, 60, 100


def main() -> None:
    """Time toys of narrow, wide and mixed kernels, and print the table."""
    rng = np.random.default_rng(1)
    members = family(M, satellite=0.3)
    truth = rng.dirichlet(np.full(M, 0.5))
    z = draw(members, np.full(M, 1 / M), 2000, rng)
    fit = fit_weights(
        log_densities(members, draw(members, truth, N, rng)),
        pseudo=Pseudo(log_densities(members, z)),
    )
    null = NullModel.of(Mixture(members, fit))
    x = draw(members, truth, N, rng)
    logf = log_densities(members, x)
    print(f"n = {N}, M = {M}, K = {K}, {os.environ['OMP_NUM_THREADS']} BLAS threads")
    print(
        f"{'kernels':>16s}{'directions':>11s}{'rows s':>8s}{'fits s':>8s}{'toy s':>8s}{'steps':>7s}"
    )
    for name, width in (("width 0.05", 0.05), ("width 0.5", 0.5), ("two quantiles", Quantiles())):
        setup = GaussianKernels(count=K, width=width).prepare(Run(Seeds(1)), null, events=N)
        logk = setup.kernels.log_density(x)
        rows, made = best_of(lambda s=setup, k=logk: BasisDensities.of(logf, k, s.basis), 5)  # type: ignore[misc]
        centre = np.zeros(setup.basis.variations.shape[1])
        fits = LinearFits(setup, rows)
        profile, fitted = best_of(
            lambda f=fits, c=centre: f.profile(  # type: ignore[misc]
                HYPOTHESES["ensemble+uncertainty"], c
            ),
            5,
        )
        print(
            f"{name:>16s}{setup.basis.directions.shape[1]:11d}{made.wall:8.3f}"
            f"{fitted.wall:8.3f}{made.wall + fitted.wall:8.3f}{profile.iterations:7d}"
        )
    _assembly()


def _assembly() -> None:
    columns = M - 1 + K - 1
    rng = np.random.default_rng(2)
    zero = np.zeros(columns)
    problem = LogLinear(np.ones(N), rng.random((N, columns)), np.ones(N), zero, zero)
    density = 1.0 + rng.random(N)
    _, timing = best_of(lambda: problem.derivatives(density, zero), 15)
    rate, ceiling = 2.0 * N * columns**2 / timing.wall / 1e9, gemm_rate(N, columns)
    print(
        f"Hessian assembly at {columns} parameters: {1e3 * timing.wall:.1f} ms, {rate:.1f} Gflop/s "
        f"counted as GEMM, {rate / ceiling:.2f} of DGEMM ({ceiling:.1f})"
    )


if __name__ == "__main__":
    main()
