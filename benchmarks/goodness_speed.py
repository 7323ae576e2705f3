"""One toy of the profile test: damped Newton against newton-exact and the published Adam recipe.

pytorch-minimize's ``newton-exact`` (automatic derivatives) is given the very
same two problems: whitened, with barrier and constraint, the alternative from
the null's optimum.  Our toy is timed before and after it.

The recipe: torch Adam with learning rate 1e-4, early stopping when the loss has
not improved for ten checks of 100 epochs, in raw weights and kernel coefficients,
float64.  The objective is ours, exactly normalised and with the barrier, because
the published soft penalty has another optimum; where a step of Adam leaves p > 0,
the logarithm is continued by its parabola instead of being clamped.  It runs
until its objective is within 1e-3 of the optimum, until it stops itself, or to
its cap of epochs.  Printed: times, their ratio, and the error that the recipe
leaves in t.

    python benchmarks/goodness_speed.py [EPOCHS]     default cap: 20 000
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from _problem import Timing, best_of, draw, family, log_densities

from verisimile.checks.goodness.alternatives.kernels import GaussianKernels, LinearFits, LinearSetup
from verisimile.checks.goodness.null import NullModel
from verisimile.checks.goodness.profile import HYPOTHESES, BasisDensities, Profile
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.mixture.fit import Pseudo, fit_weights
from verisimile.mixture.model import Mixture
from verisimile.mixture.solvers.torch_minimize import TorchSolver
from verisimile.stats.linalg import tangent_basis

N, M, K = 20_000, 60, 100
RATE, CHECK, PATIENCE = 1e-4, 100, 10
CLOSE = 1e-3
_DEPTH = 1e-6


@dataclass(frozen=True)
class Recipe:
    """Where Adam ended: objective, its distance from the optimum, epochs, time, and why."""

    value: float
    gap: float
    epochs: int
    spent: Timing
    ended: str


def main(cap: int) -> None:
    """Run both on one toy and print the comparison."""
    rng = np.random.default_rng(1)
    members = family(M, satellite=0.3)
    truth = rng.dirichlet(np.full(M, 0.5))
    z = draw(members, np.full(M, 1 / M), 2000, rng)
    fit = fit_weights(
        log_densities(members, draw(members, truth, N, rng)),
        pseudo=Pseudo(log_densities(members, z)),
    )
    model = NullModel.of(Mixture(members, fit))
    setup = GaussianKernels(count=K).prepare(Run(Seeds(1)), model, events=N)
    x = draw(members, truth, N, rng)
    fits = setup.observe(x, log_densities(members, x))
    exact = replace(fits, setup=replace(setup, solver=TorchSolver()))
    profile, before = _toy(fits, 5)
    peer, theirs = _toy(exact, 1)
    _, after = _toy(fits, 5)
    ours = Timing(0.5 * (before.wall + after.wall), 0.5 * (before.cpu + after.cpu))
    print(f"n = {N}, M = {M}, K = {K}, {os.environ['OMP_NUM_THREADS']} threads")
    _line("damped Newton", ours, profile)
    _line("newton-exact", theirs, peer)
    print(f"newton-exact / damped Newton: {_ratio(theirs, ours)}; t differs by ", end="")
    print(f"{peer.statistic - profile.statistic:+.1e}", flush=True)
    _adam(_Problem.of(setup, fits.rows), profile, ours, cap)


def _adam(problem: _Problem, profile: Profile, ours: Timing, cap: int) -> None:
    zero = np.zeros_like(profile.amplitudes)
    null = problem.fit(problem.value(profile.null, zero), cap, kernels=False)
    best = problem.value(profile.alternative, profile.amplitudes)
    full = problem.fit(best, cap, kernels=True)
    theirs = 2.0 * (null.value - full.value)
    for name, run in (("null", null), ("alternative", full)):
        print(f"Adam, {name}: {run.spent.wall:.1f} s wall, {run.spent.cpu:.1f} s CPU, ", end="")
        print(f"{run.epochs} epochs, {run.ended}, objective {run.gap:.3g} above the optimum")
    print(f"Adam: t = {theirs:.3f}, off by {theirs - profile.statistic:+.3f}")
    both = Timing(null.spent.wall + full.spent.wall, null.spent.cpu + full.spent.cpu)
    print(f"Adam / damped Newton: {_ratio(both, ours)}")


def _toy(fits: LinearFits, repeats: int) -> tuple[Profile, Timing]:
    centre = np.zeros(fits.setup.basis.variations.shape[1])
    return best_of(lambda: fits.profile(HYPOTHESES["ensemble+uncertainty"], centre), repeats)


def _line(name: str, spent: Timing, profile: Profile) -> None:
    print(f"{name}: {spent.wall:.3f} s wall, {spent.cpu:.3f} s CPU, {profile.iterations} steps, ")
    print(f"    t = {profile.statistic:.6f}, certified to {profile.gap:.1e}")


def _ratio(theirs: Timing, ours: Timing) -> str:
    return f"{theirs.wall / ours.wall:.0f} (wall), {theirs.cpu / ours.cpu:.0f} (CPU)"


@dataclass(frozen=True)
class _Problem:
    """The same objective, barrier included, in raw weights and coefficients of zero sum."""

    base: torch.Tensor
    design: torch.Tensor
    rows: torch.Tensor
    pulls: torch.Tensor
    directions: np.ndarray

    @classmethod
    def of(cls, setup: LinearSetup, data: BasisDensities) -> _Problem:
        """Return the problem whose parameters are the raw ones, not the whitened ones."""
        joined = data.joined(setup.barrier)
        rank = setup.basis.variations.shape[1]
        pulls = np.linalg.pinv(setup.basis.variations) @ tangent_basis(M)
        amplitudes = np.linalg.pinv(setup.basis.directions) @ tangent_basis(K)
        design = np.hstack([joined.design[:, :rank] @ pulls, joined.design[:, rank:] @ amplitudes])
        rows = np.ones(joined.base.size)
        rows[data.base.size :] = setup.barrier_weight
        tensors = (torch.from_numpy(t) for t in (joined.base, design, rows, pulls))
        return cls(*tensors, setup.basis.directions)

    def value(self, null: np.ndarray, amplitudes: np.ndarray) -> float:
        """Return the objective at the solution of the profile test."""
        theta = np.concatenate(
            [
                np.linalg.lstsq(self.pulls.numpy(), null, rcond=None)[0],
                np.linalg.lstsq(tangent_basis(K), self.directions @ amplitudes, rcond=None)[0],
            ]
        )
        return float(self._loss(torch.from_numpy(theta)))

    def fit(self, optimum: float, cap: int, *, kernels: bool) -> Recipe:
        """Minimise with Adam until close to the optimum, stalled, or at the cap."""
        free = M - 1 + (K - 1 if kernels else 0)
        theta = torch.zeros(free, dtype=torch.float64, requires_grad=True)
        optimiser = torch.optim.Adam([theta], lr=RATE)
        best, stale, epoch = np.inf, 0, 0
        wall, cpu = time.perf_counter(), time.process_time()
        while epoch < cap and stale < PATIENCE and best - optimum > CLOSE:
            for _ in range(CHECK):
                optimiser.zero_grad()
                loss = self._loss(theta)
                loss.backward()
                optimiser.step()
            epoch += CHECK
            value = float(self._loss(theta.detach()))
            stale = 0 if value < best else stale + 1
            best = min(best, value)
        spent = Timing(time.perf_counter() - wall, time.process_time() - cpu)
        close = best - optimum <= CLOSE
        ended = "close" if close else "stalled" if stale >= PATIENCE else "at the cap"
        return Recipe(best, best - optimum, epoch, spent, ended)

    def _loss(self, theta: torch.Tensor) -> torch.Tensor:
        density = self.base + self.design[:, : theta.numel()] @ theta
        eta = self.pulls @ theta[: M - 1]
        return 0.5 * eta @ eta - self.rows @ _log(density)


def _log(density: torch.Tensor) -> torch.Tensor:
    """Return log p, continued by its parabola below a depth: Adam steps outside p > 0."""
    safe = density.clamp_min(_DEPTH)
    away = torch.where(density < _DEPTH, 1.0 - density / _DEPTH, torch.zeros_like(density))
    return torch.log(safe) - away - 0.5 * away * away


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
