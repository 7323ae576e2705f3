"""Fit, goodness of fit, validation and coverage of a small study, with a trap in each."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

import verisimile as vs
from fire.traps import step
from verisimile.core.arrays import Array
from verisimile.core.canonical import JSON
from verisimile.core.records import Payload
from verisimile.data.events import Events
from verisimile.density.protocol import DensityEstimator, Fitted
from verisimile.density.registry import register_family
from verisimile.samples.pool import Labels

STAGES = ("fit", "gof", "validate", "coverage")
SEED = 2026


@dataclass(frozen=True)
class Normal:
    """Independent Gaussians."""

    family: ClassVar[str] = "fire-normal"

    mean: Array
    sigma: Array

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.mean.size

    def log_prob(self, x: Array) -> Array:
        """Return natural log-densities."""
        z = (x - self.mean) / self.sigma
        return np.asarray(-0.5 * (z**2 + np.log(2 * np.pi * self.sigma**2)).sum(axis=1))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw events."""
        return rng.normal(self.mean, self.sigma, size=(n, self.mean.size))


def _pack(model: Normal) -> Payload:
    return Payload({"mean": model.mean, "sigma": model.sigma}, {})


def _unpack(_: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Normal:
    return Normal(arrays["mean"], arrays["sigma"])


register_family(Normal.family, _pack, _unpack)


@dataclass(frozen=True)
class Moments:
    """A trainer that takes mean and standard deviation."""

    def config(self) -> dict[str, JSON]:
        """Return its settings."""
        return {"family": Normal.family}

    def fit(
        self, training: Events, validation: Events, seeds: vs.Seeds
    ) -> Fitted[DensityEstimator]:
        """Return a Gaussian."""
        del validation, seeds  # it needs neither
        step("fit")
        mean, sigma = training.x.mean(axis=0), training.x.std(axis=0)
        loss = np.array([0.0])
        return Fitted(Normal(mean, sigma), loss, loss, 0)


@dataclass(frozen=True)
class Watched(Normal):
    """A member that goes into the trap of a stage whenever it draws events there."""

    family: ClassVar[str] = "fire-watched"

    stage: str = ""

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draw events."""
        step(self.stage)
        return super().sample(n, rng)


register_family(
    Watched.family,
    lambda model: Payload({"mean": model.mean, "sigma": model.sigma}, {"stage": model.stage}),
    lambda spec, arrays: Watched(arrays["mean"], arrays["sigma"], str(spec["stage"])),
)


@dataclass(frozen=True)
class MeanDifference:
    """The distance of the means, the labels of which are trapped."""

    name: ClassVar[str] = "means"
    weights: ClassVar[str] = "none"

    def prepare(self, pooled: Array, weights: Array, rng: np.random.Generator) -> _Means:
        """Keep the events."""
        del weights, rng
        return _Means(pooled)


@dataclass(frozen=True)
class _Means:
    pooled: Array

    def values(self, labels: Labels) -> Array:
        """Return the statistic of each relabeling."""
        step("validate")
        first = np.asarray(labels, dtype=np.float64)
        sums, counts = first @ self.pooled, first.sum(axis=1, keepdims=True)
        rest = self.pooled.sum(axis=0) - sums
        return np.asarray(np.abs(sums / counts - rest / (len(self.pooled) - counts)).sum(axis=1))


def _sample(words: str, n: int) -> Events:
    x = vs.Seeds(5).at(words).numpy().normal(size=(n, 2))
    return vs.Events(x, names=("a", "b"))


def _fit(run: vs.Run) -> list[Array]:
    ensemble = vs.fit_ensemble(run, _sample("train", 300), vs.BootstrapPlan(members=12), Moments())
    return [np.asarray(member.mean) for member in ensemble.members]  # type: ignore[attr-defined]


def _mixture(stage: str) -> vs.Mixture:
    rng = vs.Seeds(6).numpy()
    members = [
        Watched(rng.normal(0.0, 0.3, 2), np.array([1.0, 1.0 + 0.1 * k]), stage) for k in range(3)
    ]
    events = _sample("weights", 300)
    logf = np.stack([member.log_prob(events.x) for member in members], axis=1)
    return vs.Mixture(members, vs.fit_weights(logf), features=events.features)


def _gof(run: vs.Run) -> list[Array]:
    found = vs.goodness_of_fit(
        run,
        _mixture("gof"),
        _sample("test", 200),
        alternative=vs.GaussianKernels(count=4, width=0.7),
        toys=120,
    )
    return [found.toys, np.array(found.statistic)]


def _validate(run: vs.Run) -> list[Array]:
    found = vs.two_sample(
        run,
        _sample("reference", 300),
        _sample("generated", 300),
        statistic=MeanDifference(),
        permutations=4000,
    )
    return [found.null, np.array(found.observed)]


def _coverage(run: vs.Run) -> list[Array]:
    from verisimile.checks.coverage.observables import Moment

    found = vs.coverage(
        run,
        _mixture("coverage"),
        Watched(np.zeros(2), np.ones(2), "coverage"),
        observables={"mean": Moment("a")},
        datasets=120,
        events=100,
    )
    return [found.pulls, np.array(found.named("mean").rate)]


_WORK: Mapping[str, Callable[[vs.Run], list[Array]]] = {
    "fit": _fit,
    "gof": _gof,
    "validate": _validate,
    "coverage": _coverage,
}


def perform_stages(run: vs.Run, stages: tuple[str, ...]) -> str:
    """Do the stages and return one hash of all their numbers."""
    found = hashlib.sha256()
    for stage in stages:
        for array in _WORK[stage](run.at(stage)):
            found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
