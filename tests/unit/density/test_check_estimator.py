"""`check_estimator` finds each broken promise, and none in a correct model."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from statistical import assert_within
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.core.result import from_dict, to_dict
from verisimile.data.truths import Camel, GaussianTruth, RingOfEight
from verisimile.density.check import (
    EstimatorCheck,
    Proposal,
    check_estimator,
    entropy_gap,
    integral,
)


@dataclass
class Normal:
    """A correct estimator to be broken by subclasses."""

    n_features: int = 2

    def log_prob(self, x: Array) -> Array:
        return np.asarray(stats.norm.logpdf(x).sum(axis=1))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        return rng.normal(size=(n, self.n_features))


class Unnormalised(Normal):
    def log_prob(self, x: Array) -> Array:
        return super().log_prob(x) + 0.2


class WrongSampler(Normal):
    def sample(self, n: int, rng: np.random.Generator) -> Array:
        return 1.3 * super().sample(n, rng)


class OwnStream(Normal):
    stream = np.random.default_rng(1)

    def sample(self, n: int, rng: np.random.Generator) -> Array:  # noqa: ARG002
        return super().sample(n, self.stream)


class FixedStream(Normal):
    def sample(self, n: int, rng: np.random.Generator) -> Array:  # noqa: ARG002
        return super().sample(n, np.random.default_rng(1))


class BatchDependent(Normal):
    def log_prob(self, x: Array) -> Array:
        return super().log_prob(x - 0.1 * x.mean(axis=0))


class Restless(Normal):
    stream = np.random.default_rng(1)

    def log_prob(self, x: Array) -> Array:
        return super().log_prob(x) + 1e-3 * self.stream.normal(size=len(x))


class SomeNaN(Normal):
    def sample(self, n: int, rng: np.random.Generator) -> Array:
        x = super().sample(n, rng)
        x[::100, 0] = np.nan
        return x


class NaNDensity(Normal):
    def log_prob(self, x: Array) -> Array:
        return np.where(x[:, 0] > 2, np.nan, super().log_prob(x))


class NaNFarAway(Normal):
    def log_prob(self, x: Array) -> Array:
        return np.where(np.abs(x[:, 0]) > 1e6, np.nan, super().log_prob(np.clip(x, -1e6, 1e6)))


class Column(Normal):
    def log_prob(self, x: Array) -> Array:
        return super().log_prob(x)[:, None]


class Transposed(Normal):
    def sample(self, n: int, rng: np.random.Generator) -> Array:
        return super().sample(n, rng).T


class Single(Normal):
    def sample(self, n: int, rng: np.random.Generator) -> Array:
        return np.asarray(super().sample(n, rng).astype(np.float32))


class Raising(Normal):
    def log_prob(self, x: Array) -> Array:  # noqa: ARG002
        raise RuntimeError("out of memory")


@pytest.mark.parametrize(
    "model", [GaussianTruth.paper(), Camel(), RingOfEight(), stats.expon(), Normal(), Normal(5)]
)
def test_correct_models_have_no_problems(model: object, seeds: Seeds) -> None:
    check = check_estimator(model, seeds=seeds)
    assert check.problems == ()
    assert check.repeatable_sample
    assert check.repeatable_density
    assert_within(check.integral.value, 1.0, check.integral.error)


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (Unnormalised(), "does not integrate to one"),
        (WrongSampler(), "draws do not follow the density"),
        (OwnStream(), "other draws for the same"),
        (FixedStream(), "same draws for another"),
        (BatchDependent(), "depends on the others in its batch"),
        (Restless(), "other values for the same events"),
        (SomeNaN(), "40 of 4000 draws are not finite"),
        (NaNDensity(), "log_prob is not finite at"),
        (NaNFarAway(), "far places"),
        (Column(), r"log_prob has shape \(4000, 1\)"),
        (Transposed(), r"shape \(2, 4000\)"),
        (Single(), "dtype float32"),
        (Raising(), "RuntimeError: out of memory"),
        (object(), "no density estimator"),
        (None, "no density estimator"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_each_defect_is_named_and_nothing_raised(model: object, problem: str) -> None:
    problems = check_estimator(model).problems
    assert any(re.search(problem, text) for text in problems), problems


def test_result_survives_json() -> None:
    check = check_estimator(Normal(), draws=200)
    assert from_dict(to_dict(check)) == check
    assert isinstance(from_dict(to_dict(check_estimator(object()))), EstimatorCheck)


def test_proposal_is_a_density_with_its_own_sampler(rng: np.random.Generator) -> None:
    proposal = Proposal.around(rng.normal(size=(500, 2)))
    x = proposal.sample(20_000, rng)
    normal = stats.multivariate_normal([0.0, 0.0], 4 * np.eye(2))
    ratio = np.exp(normal.logpdf(x) - proposal.log_prob(x))
    assert_within(ratio.mean(), 1.0, ratio.std() / np.sqrt(len(x)))


def test_estimates_have_honest_errors(seeds: Seeds) -> None:
    pulls = []
    for number in range(40):
        rng = seeds.at(number).numpy()
        proposal = Proposal.around(rng.normal(size=(300, 2)))
        x = proposal.sample(1000, rng)
        total = integral(Normal(), proposal, x)
        gap = entropy_gap(Normal(), proposal, x, rng.normal(size=(1000, 2)))
        pulls.append([(total.value - 1) / total.error, gap.value / gap.error])
    # The sum of 40 squared pulls is chi-squared with 40 degrees of freedom.
    low, high = stats.chi2.interval(1 - 6e-7, 40)
    assert ((np.square(pulls).sum(axis=0) > low) & (np.square(pulls).sum(axis=0) < high)).all()
