"""`local_posterior_test`: whether a classifier tells truths from draws at given contexts."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from verisimile.checks.posterior.simulations import Simulations, as_draws
from verisimile.core.arrays import Array, BoolArray, as_matrix, digest
from verisimile.core.errors import NumericsError, require_at_least
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.result import Result, register
from verisimile.core.run import Run
from verisimile.core.tasks import Task
from verisimile.samples.learners import Learner, checked_learner
from verisimile.stats.aggregate import min_p, smallest_p
from verisimile.stats.pvalues import PValue

_CHUNK = 20
_NULL = "truths and draws swapped within pairs, refitted"


@dataclass(frozen=True, slots=True, eq=False)
class PosteriorPoints:
    """Where the posterior is examined.

    Parameters
    ----------
    contexts
        Contexts x ``(J, k)``.
    draws
        Draws of the posterior at each ``(J, S, d)``.
    """

    contexts: npt.ArrayLike
    draws: npt.ArrayLike


@register("local-posterior-test", 1)
@dataclass(frozen=True, slots=True)
class LocalTest(Result):
    r"""Local classifier two-sample test of a posterior.

    Attributes
    ----------
    p_value
        That the posterior is exact, from the smallest p-value of all points.
    points
        P-value at each point by itself ``(J,)``.
    adjusted
        The same corrected for the number of points, single-step min-p ``(J,)``.
    observed
        Mean of :math:`(D - 1/2)^2` over draws at each point ``(J,)``.
    null
        The same for swapped pairs ``(B, J)``.
    contexts
        The points ``(J, k)``.
    unfinished
        Fits, of B + 1, that did not converge.
    """

    p_value: PValue
    points: tuple[PValue, ...]
    adjusted: Array
    observed: Array
    null: Array
    contexts: Array
    n: int
    unfinished: int
    listed: ClassVar[tuple[str, ...]] = ("points", "adjusted", "observed", "contexts")

    def __repr__(self) -> str:
        worst = int(np.argmin(self.adjusted))
        return (
            f"LocalTest(p={self.p_value.value:.4g}, {len(self.points)} points, the worst "
            f"x={self.contexts[worst].tolist()}, n={self.n})"
        )


def local_posterior_test(
    run: Run,
    draws: npt.ArrayLike,
    truths: npt.ArrayLike,
    contexts: npt.ArrayLike,
    *,
    at: PosteriorPoints,
    learner: Learner | None = None,
    permutations: int = 199,
) -> LocalTest:
    r"""Test a posterior at given contexts with a classifier of truths against draws.

    The classifier D learns to tell :math:`(\theta_i, x_i)` from :math:`(\theta_{i1}, x_i)`, one
    draw per simulation.  At each point :math:`x_0`

    .. math:: t(x_0) = \frac1S \sum_s \Big(D(\theta_s, x_0) - \frac12\Big)^2, \quad
              \theta_s \sim q(\theta \mid x_0) .

    Under the null truth and draw of one pair are exchangeable, so that
    classifiers trained after swapping a random half of the pairs give its exact law.

    Parameters
    ----------
    draws, truths, contexts
        As of :func:`~verisimile.checks.posterior.sbc.sbc`; the first of each draws is used.
    at
        Points to examine and draws there.
    learner
        A scikit-learn classifier; None: `learners.polynomial`.
    permutations
        B, refits.

    References
    ----------
    J. Linhart, A. Gramfort, P. L. C. Rodrigues, arXiv:2306.03580 (local test; its null trains
    on two sets of draws instead, and its p-value can be zero).
    """
    given = Simulations.checked(draws, truths, contexts)
    require_at_least(1, permutations, "permutations")
    pairs = [np.hstack([one, given.contexts]) for one in (given.truths, given.draws[:, 0])]
    fit = _Fits(np.vstack(pairs), *_points(at, given), checked_learner(learner))
    table, unfinished = _all_fits(run.at("local test"), fit, permutations + 1)
    if not np.isfinite(table[0]).all():
        got = f"t = {table[0]}"
        raise NumericsError("local_posterior_test", got=got, expected="finite statistics")
    return _result(given, fit, table, unfinished)


@dataclass(frozen=True, slots=True, eq=False)
class _Fits:
    """What all fits share: rows of truths, then of draws; rows at the points; the learner."""

    rows: Array
    contexts: Array
    at: Array
    learner: Learner

    @property
    def key(self) -> dict[str, str]:
        settings = {k: repr(v) for k, v in sorted(self.learner.get_params().items())}
        text = f"{type(self.learner).__qualname__}{settings}"
        return {
            "data": digest(self.rows, self.at),
            "learner": hashlib.sha256(text.encode()).hexdigest(),
        }

    def statistic(self, swap: BoolArray, seeds: Seeds) -> tuple[Array, bool]:
        """Return t at the points ``(J,)`` after swapping these pairs; whether the fit ended."""
        model = clone(self.learner)
        seed = seeds.integer() % 2**32
        model.set_params(**{k: seed for k in model.get_params() if k.endswith("random_state")})
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            model.fit(self.rows, np.concatenate([swap, ~swap]))
        ended = not any(issubclass(one.category, ConvergenceWarning) for one in caught)
        j, count, width = self.at.shape
        found = np.asarray(model.predict_proba(self.at.reshape(-1, width)), dtype=np.float64)
        return ((found[:, 1].reshape(j, count) - 0.5) ** 2).mean(axis=1), ended


def _points(at: PosteriorPoints, given: Simulations) -> tuple[Array, Array]:
    contexts = as_matrix(at.contexts, "at.contexts", columns=given.contexts.shape[1])
    draws = as_draws(at.draws, "at.draws", rows=len(contexts), columns=given.truths.shape[1])
    rows = np.broadcast_to(contexts[:, None], (*draws.shape[:2], contexts.shape[1]))
    return contexts, np.concatenate([draws, rows], axis=2)


def _all_fits(run: Run, fit: _Fits, count: int) -> tuple[Array, int]:
    """Return t of the data, then of the permutations ``(B + 1, J)``; how many did not end."""
    parts = [(first, min(first + _CHUNK, count)) for first in range(0, count, _CHUNK)]
    tasks = [
        Task(
            f"local/{first:06d}",
            {**fit.key, "first": first, "last": last},
            run.seeds,
            (fit, first, last),
        )
        for first, last in parts
    ]
    found = [
        one
        for one in run.map(_fit, tasks, label="local test", small=True)
        if isinstance(one, Record)
    ]
    unfinished = int(sum(int(one.arrays["unfinished"].sum()) for one in found))
    return np.concatenate([one.arrays["statistics"] for one in found]), unfinished


def _fit(seeds: Seeds, fit: _Fits, first: int, last: int) -> Payload:
    out, ended = [], []
    for b in range(first, last):
        # Fit 0 is that of the data.
        draws = seeds.at("swap", b).numpy().random(len(fit.rows) // 2)
        found, end = fit.statistic(draws < (0.5 if b else 0.0), seeds.at("learner", b))
        out.append(found)
        ended.append(end)
    return Payload({"statistics": np.array(out), "unfinished": ~np.array(ended)}, {})


def _result(given: Simulations, fit: _Fits, table: Array, unfinished: int) -> LocalTest:
    observed, toys = table[0], table[1:]
    combined = min_p(observed, toys, null=_NULL)
    alone = np.array([p.value for p in combined.columns])
    smallest = smallest_p(observed, toys)
    adjusted = (smallest[None, :] <= alone[:, None]).mean(axis=1)
    adjusted[combined.smallest] = combined.p_value.value
    return LocalTest(
        combined.p_value,
        combined.columns,
        adjusted,
        observed,
        toys,
        fit.contexts,
        given.n,
        unfinished,
    )
