"""Weight fit: damped Newton against the other solvers, and against DGEMM.

n = 20 000 events, M = 60 analytic members, one process.  Prints the time of
each solver, of pytorch-minimize's newton-exact on the published objective, the
objective that each reached, and the share of the machine's own DGEMM rate that
the Hessian assembly reaches.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import numpy as np
import torch
from _problem import best_of, draw, family, gemm_rate, log_densities
from torchmin import minimize as torch_minimize

from verisimile.mixture.fit import Pseudo, fit_weights
from verisimile.mixture.objective import LogLinear
from verisimile.mixture.solvers.minuit import MinuitSolver
from verisimile.mixture.solvers.torch_minimize import TorchSolver

N, M = 20_000, 60


def main() -> None:
    """Run the comparison and print it."""
    rng = np.random.default_rng(1)
    members = family(M, satellite=0.3)
    truth = rng.dirichlet(np.full(M, 0.5))
    logf = log_densities(members, draw(members, truth, N, rng))
    pseudo = Pseudo(log_densities(members, draw(members, np.full(M, 1 / M), 2000, rng)))

    fit, plain = best_of(lambda: fit_weights(logf), 5)
    barred, barrier = best_of(lambda: fit_weights(logf, pseudo=pseudo), 5)
    peer, theirs = best_of(lambda: _newton_exact(logf), 3)
    torch_fit, by_torch = best_of(lambda: fit_weights(logf, solver=TorchSolver()), 3)
    minuit_fit, by_minuit = best_of(lambda: fit_weights(logf, solver=MinuitSolver()), 3)
    rate, ceiling = _assembly_rate(), gemm_rate(N, M)

    print(f"n = {N}, M = {M}, {os.environ['OMP_NUM_THREADS']} BLAS threads")
    print(f"{'':34s}{'wall s':>9s}{'cpu s':>9s}{'iter':>6s}{'nll - ours':>13s}")
    for name, timing, iterations, nll in (
        ("damped Newton", plain, fit.record.iterations, fit.nll),
        ("damped Newton, pseudo-events", barrier, barred.record.iterations, barred.nll),
        ("TorchSolver", by_torch, torch_fit.record.iterations, torch_fit.nll),
        ("MinuitSolver (calls of MIGRAD)", by_minuit, minuit_fit.record.iterations, minuit_fit.nll),
        ("pytorch-minimize newton-exact", theirs, peer[1], peer[0]),
    ):
        print(f"{name:34s}{timing.wall:9.3f}{timing.cpu:9.3f}{iterations:6d}{nll - fit.nll:13.3g}")
    print(f"newton-exact / damped Newton: {theirs.wall / plain.wall:.1f} (wall)")
    print(f"squared decrement: {fit.record.decrement**2:.1e} (needed: 1e-10)")
    print(
        f"Hessian assembly: {rate:.1f} Gflop/s counted as GEMM, "
        f"{rate / ceiling:.2f} of DGEMM ({ceiling:.1f})"
    )


def _newton_exact(logf: np.ndarray) -> tuple[float, int]:
    """Fit the same weights as the paper does: autograd Hessian of eq. 1 with lambda = 1."""
    top = logf.max(axis=1)
    density = torch.from_numpy(np.exp(logf - top[:, None]))

    def objective(w: torch.Tensor) -> torch.Tensor:
        return -torch.log((density @ w).clamp_min(1e-300)).mean() + w.sum() - 1.0

    start = torch.full((M,), 1.0 / M, dtype=torch.float64)
    found = torch_minimize(objective, start, method="newton-exact", max_iter=300, tol=1e-12)
    nll = -float((np.log(density.numpy() @ found.x.numpy()) + top).sum())
    return nll, int(found.nit)


def _assembly_rate() -> float:
    rng = np.random.default_rng(2)
    zero = np.zeros(M)
    problem = LogLinear(np.ones(N), rng.random((N, M)), np.ones(N), zero, zero)
    density = 1.0 + rng.random(N)
    _, timing = best_of(lambda: problem.derivatives(density, zero), 15)
    return 2.0 * N * M**2 / timing.wall / 1e9


if __name__ == "__main__":
    main()
