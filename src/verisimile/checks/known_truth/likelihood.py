"""Likelihood of a sample under a known density: bits per dimension, and a test."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import Array, as_vector, digest, frozen
from verisimile.core.errors import NumericsError, require, require_at_least
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.result import Estimate, Result, register
from verisimile.core.run import Run
from verisimile.core.tasks import Task
from verisimile.data.events import Events
from verisimile.data.inputs import EventsLike, as_events
from verisimile.density.protocol import DensityEstimator
from verisimile.stats.pvalues import Empirical, PValue

_BLOCK = 50  # toys of a record


@register("likelihood-test", 1)
@dataclass(frozen=True, slots=True, eq=False)
class LikelihoodTest(Result):
    r"""How likely a sample is under a known density, among samples of that density.

    Attributes
    ----------
    mean_log_prob
        Mean log-density per event, natural logarithm; minus infinity if an event lies
        outside the support.
    null_mean, null_sd
        The same of the toys.
    p_value
        Two-sided, add-one: too likely (too narrow) and too unlikely both count.
    rank_distance
        Kolmogorov distance of `ranks` from uniform.
    rank_p_value
        Of it, add-one.
    ranks
        For each event the share of draws with a density below its own ``(n,)``, uniform
        if the density is right: one minus the content of the highest-density region
        through the event.
    n, n_outside
        Events, and those where the density is zero.
    """

    mean_log_prob: float
    null_mean: float
    null_sd: float
    p_value: PValue
    rank_distance: float
    rank_p_value: PValue
    ranks: Array
    n: int
    n_outside: int

    def __repr__(self) -> str:
        return (
            f"LikelihoodTest(<log p>={self.mean_log_prob:.4g}, null {self.null_mean:.4g} ± "
            f"{self.null_sd:.2g}, p={self.p_value.value:.3g}, ranks p="
            f"{self.rank_p_value.value:.3g}, n={self.n})"
        )

    def without_events(self) -> LikelihoodTest:
        """Return the same without the ranks of single events, for reports and records."""
        return replace(self, ranks=frozen(np.empty(0)))


def likelihood_test(
    run: Run, model: DensityEstimator, events: EventsLike, *, toys: int = 999, draws: int = 20_000
) -> LikelihoodTest:
    r"""Test whether a sample can come from a density that was known before it.

    .. math:: t = \frac1n \sum_i \log p(x_i), \qquad
              u_i = P_{x \sim p}\big(p(x) \le p(x_i)\big)

    against samples of n events that the density draws.  The mean has a two-sided p-value:
    a generator that is too narrow is *too likely*.  The ranks u are uniform under the null
    whatever the dimension; their distance from uniform sees what leaves the mean alone.

    Parameters
    ----------
    events
        The sample, columns in the model's order, without weights.
    toys
        Samples drawn: each costs n draws and densities.
    draws
        Further draws, to which ranks refer.
    """
    events = as_events(events, "events")
    _check(model, events, toys, draws)
    at = run.at("likelihood")
    observed = _log_prob(model, events.x)
    pool = np.sort(_log_prob(model, model.sample(draws, at.seeds.at("pool").numpy())))
    means, distances = _toys(at, model, events.n, pool, toys)
    mean, distance = float(observed.mean()), _distance(observed, pool)
    good = means[np.isfinite(means)]
    return LikelihoodTest(
        mean_log_prob=mean,
        null_mean=float(good.mean()) if good.size else math.nan,
        null_sd=float(good.std(ddof=1)) if good.size > 1 else math.nan,
        p_value=two_sided(means, mean),
        rank_distance=distance,
        rank_p_value=Empirical(distances, "draws of the density").p_value(distance),
        ranks=frozen(_ranks(observed, pool)),
        n=events.n,
        n_outside=int(np.isneginf(observed).sum()),
    )


def two_sided(toys: Array, observed: float) -> PValue:
    r"""Return twice the smaller add-one tail, :math:`\min(1, 2 (k + 1)/(B + 1))`.

    Each tail holds its level, and so does twice the smaller one, at every number of toys.
    """
    tails = [Empirical(sign * toys, "draws").p_value(sign * observed) for sign in (1.0, -1.0)]
    one = min(tails, key=lambda tail: tail.value)
    value, low, high = (min(1.0, 2.0 * number) for number in (one.value, one.low, one.high))
    return PValue(value, low, high, "draws of the density, two-sided", one.n_null, one.n_failed)


def _toys(run: Run, model: DensityEstimator, n: int, pool: Array, toys: int) -> tuple[Array, Array]:
    key = digest(pool)
    parts = [(first, min(first + _BLOCK, toys)) for first in range(0, toys, _BLOCK)]
    tasks = [
        Task(
            address=f"likelihood/{key[:16]}/{n}/{first:06d}-{last:06d}",
            config={"density": key, "n": n, "first": first, "last": last},
            seeds=run.seeds,
            args=(model, n, pool, first, last),
        )
        for first, last in parts
    ]
    found = run.map(_block, tasks, label="likelihood toys", small=True)
    both = np.concatenate([one.arrays["values"] for one in found if isinstance(one, Record)])
    return both[:, 0], both[:, 1]


def _block(
    seeds: Seeds, model: DensityEstimator, n: int, pool: Array, first: int, last: int
) -> Payload:
    rows = []
    for toy in range(first, last):
        # A stream for each toy: more of them extend what is there.
        drawn = _log_prob(model, model.sample(n, seeds.at("toy", toy).numpy()))
        rows.append((float(drawn.mean()), _distance(drawn, pool)))
    return Payload({"values": np.array(rows, dtype=np.float64)})


def _log_prob(model: DensityEstimator, x: Array) -> Array:
    values = np.asarray(model.log_prob(x), dtype=np.float64)
    bad = np.isnan(values) | np.isposinf(values)
    if bad.any():
        raise NumericsError(
            "model.log_prob",
            got=f"{int(bad.sum())} of {values.size} values NaN or plus infinity",
            expected="log-densities, minus infinity outside the support",
            remedy="check_estimator(model) says what else is wrong with it.",
        )
    return values


def _ranks(values: Array, pool: Array) -> Array:
    left, right = np.searchsorted(pool, values, "left"), np.searchsorted(pool, values, "right")
    return np.asarray((left + right) / (2.0 * pool.size))


def _distance(values: Array, pool: Array) -> float:
    """Return the Kolmogorov distance of two samples of log-densities; `pool` is sorted."""
    ordered = np.sort(values)

    def share(sample: Array, side: Literal["left", "right"]) -> Array:
        return np.asarray(np.searchsorted(sample, ordered, side) / sample.size)

    above = share(ordered, "right") - share(pool, "right")
    below = share(pool, "left") - share(ordered, "left")
    return max(0.0, float(above.max()), float(below.max()))


def _check(model: DensityEstimator, events: Events, toys: int, draws: int) -> None:
    require(
        events.weights is None,
        "events.weights",
        got="weights",
        expected="none: the toys are samples of equal events",
        remedy="Draw a sample of the density and use a two-sample test with weights.",
    )
    expected = f"the model's {model.n_features}"
    fit = events.d == model.n_features
    require(fit, "events", got=f"{events.d} features", expected=expected)
    require_at_least(1, toys, "toys")
    require_at_least(1, draws, "draws")


@register("likelihood", 1)
@dataclass(frozen=True, slots=True)
class Likelihood(Result):
    """Mean negative log-likelihood of a sample.

    Attributes
    ----------
    nll
        In nats per event; infinite if the density forbids an event.
    bits_per_dimension
        The same in bits, per event and feature.
    n_events, n_features
        Size of the sample.
    n_forbidden
        Events where the density is zero.
    """

    nll: Estimate
    bits_per_dimension: Estimate
    n_events: int
    n_features: int
    n_forbidden: int


def likelihood(
    log_prob: npt.ArrayLike,
    *,
    features: int,
    log_jacobian: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
) -> Likelihood:
    r"""Return the mean negative log-likelihood per event and in bits per dimension.

    .. math:: \mathrm{NLL} = -\frac1n \sum_i \log p(x_i), \qquad
              \mathrm{bpd} = \frac{\mathrm{NLL}}{d \ln 2}

    A density has units: expressed in MeV instead of GeV each feature adds
    :math:`\log 1000` to the NLL and 9.97 bits per dimension.  Only values in
    the same units compare.  If the density is that of :math:`y = T(x)`, pass
    :math:`\log |\det \partial T / \partial x|`; images whose integers were
    divided by 256 add 8 bits per dimension in this way.

    Parameters
    ----------
    log_prob
        Natural logarithms of the density at the events ``(n,)``; minus infinity is
        allowed, and counted.
    features
        d.
    log_jacobian
        ``(n,)``, added to `log_prob`.
    weights
        Event weights ``(n,)`` of any sign, with a positive sum.

    References
    ----------
    L. Theis, A. van den Oord, M. Bethge, arXiv:1511.01844, sec. 3.1.

    Examples
    --------
    >>> likelihood(np.log([0.25, 0.25]), features=1).bits_per_dimension
    Estimate(2 ± 0)
    """
    values = np.array(log_prob, dtype=np.float64)
    got = f"an array of shape {values.shape}"
    usable = values.ndim == 1 and values.size > 0
    require(usable, "log_prob", got=got, expected="a vector of n > 0 values")
    require(
        not (np.isnan(values) | (values == np.inf)).any(),
        "log_prob",
        got="NaN or plus infinity",
        expected="logarithms of a density: finite, or minus infinity where it is zero",
    )
    require_at_least(1, features, "features")
    if log_jacobian is not None:
        values = values + as_vector(log_jacobian, "log_jacobian", length=values.size)
    w = np.ones(values.size)
    if weights is not None:
        w = as_vector(weights, "weights", length=values.size)
    require(w.sum() > 0.0, "weights", got=f"the sum {w.sum():g}", expected="a positive sum")
    forbidden = int((values == -np.inf).sum())
    nll = Estimate(np.inf, np.inf) if forbidden else _mean(-values, w)
    bits = features * np.log(2.0)
    per_dimension = Estimate(nll.value / bits, nll.error / bits)
    return Likelihood(nll, per_dimension, values.size, features, forbidden)


def _mean(values: Array, w: Array) -> Estimate:
    # About the first value: equal values have no error, not one of rounding.
    shift = values[0]
    mean = float(w @ (values - shift) / w.sum())
    spread = np.sqrt((w**2) @ (values - shift - mean) ** 2) / w.sum()
    return Estimate(float(shift + mean), float(spread))
