"""Where a test sample deviates: the kernels and the events that carry the statistic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from verisimile.checks.goodness.alternatives.kernels import Kernels
from verisimile.checks.goodness.profile import HYPOTHESES
from verisimile.checks.goodness.result import FittedRatio, Goodness, fitted_here
from verisimile.checks.goodness.search import data_log_densities, fits_of_data
from verisimile.core.arrays import Array, BoolArray, IntArray, frozen
from verisimile.core.errors import require
from verisimile.core.result import Result, register
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.data.inputs import EventsLike, as_events
from verisimile.mixture.objective import mixed_log_density
from verisimile.stats.linalg import solve_spd

_BLOCK = 20_000
_PER_EVENT, _DRAWS = 10, (20_000, 200_000)
_PER_KERNEL = 20  # with fewer, the error of the expectations is itself unknown


@register("hotspots", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Hotspots(Result):
    """The places where a sample deviates most, for a report.

    Attributes
    ----------
    names
        Features ``(d,)``.
    centres
        Places in the features' own units ``(S, d)``.
    widths, z, observed, expected
        As in :class:`Localisation`, ``(S,)``.
    kernels
        K, among which these are the strongest.
    """

    names: tuple[str, ...]
    centres: Array
    widths: Array
    z: Array
    observed: Array
    expected: Array
    kernels: int
    listed: ClassVar[tuple[str, ...]] = ("z", "observed", "expected", "centres", "widths")


@register("localisation", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Localisation(Result):
    r"""Kernels and events of a deviation, for a test that has already been made.

    Attributes
    ----------
    alternative, hypothesis
        Whose kernels, and what the null fit left free.
    centres
        Centres of the kernels in the features' own units ``(K, d)``.
    widths
        Their widths in normal scores ``(K,)``.
    z
        Each kernel's score in standard deviations ``(K,)``: positive where
        there are too many events, about N(0, 1) for a true model.  Local: the
        largest of K is larger, and the test's p-value alone says whether it matters.
    coefficients
        What the alternative's fit took of each kernel ``(K,)``; neighbours
        share and cancel, `z` does not.
    observed, expected
        Sums over events of the kernel scaled to one at its centre, in the test
        sample and under the fitted null ``(K,)``.
    contributions
        :math:`2 \log p_1/p_0` of each event ``(n,)``, whose sum is the statistic
        but for the constraint and the barrier; infinite where the null has no density.
    draws
        Events with which the information of the null was estimated.
    """

    alternative: str
    hypothesis: str
    centres: Array
    widths: Array
    z: Array
    coefficients: Array
    observed: Array
    expected: Array
    contributions: Array
    draws: int
    listed: ClassVar[tuple[str, ...]] = ("z", "observed", "expected", "centres", "widths")

    def __repr__(self) -> str:
        """Return one line: the strongest kernel."""
        k = int(self.ordered[0])
        place = ", ".join(f"{value:.4g}" for value in self.centres[k])
        return (
            f"Localisation(z={self.z[k]:+.2f} at ({place}): {self.observed[k]:.1f} observed, "
            f"{self.expected[k]:.1f} expected; strongest of {self.z.size} kernels)"
        )

    @property
    def ordered(self) -> IntArray:
        """Indices of the kernels, the largest absolute score first, ``(K,)``."""
        return np.asarray(np.argsort(-np.abs(self.z), kind="stable"), dtype=np.int64)

    def strongest(self, names: Sequence[str], count: int = 8) -> Hotspots:
        """Return the `count` kernels of largest absolute score, for features of these names."""
        top = self.ordered[:count]
        return Hotspots(
            names=tuple(names),
            centres=frozen(self.centres[top]),
            widths=frozen(self.widths[top]),
            z=frozen(self.z[top]),
            observed=frozen(self.observed[top]),
            expected=frozen(self.expected[top]),
            kernels=self.z.size,
        )

    @property
    def leading_events(self) -> IntArray:
        """Indices of the events, the largest contribution first, ``(n,)``."""
        return np.asarray(np.argsort(-self.contributions, kind="stable"), dtype=np.int64)


def localise(
    run: Run, goodness: Goodness, events: EventsLike, *, draws: int | None = None
) -> Localisation:
    r"""Say which kernels and which events of a test sample carry its deviation.

    With :math:`h_k \le 1` the kernel scaled to one at its centre, the events near it are
    compared with those that the fitted null :math:`p_0` expects, the weights
    profiled under their constraint:

    .. math:: z_k = \frac{s_k - n I_{k\eta} (n I_{\eta\eta} + 1)^{-1} s_\eta}{\sqrt{V_k}}, \quad
              s_k = \sum_n h_k(x_n) - n E_0[h_k], \quad
              V_k = n I_{kk} - n I_{k\eta} (n I_{\eta\eta} + 1)^{-1} n I_{\eta k}

    which is the score test of :math:`p \propto p_0 e^{b h_k}`.  With frozen weights
    :math:`V_k = n I_{kk} + |n I_{k\eta}|^2`.  Expectation and covariances I are those of the
    null, from draws of it, whose error enters V: the test sample does not enter its own error.

    Parameters
    ----------
    run
        Random streams (``"localise"``, ``"draws"``) and storage of draws.
    goodness, events
        The test, made in this process, and its sample; of several alternatives, the leading
        one is localised.
    draws
        Events for the expectations, None for ten times the test sample within
        20 000 and 200 000.

    Raises
    ------
    InputError
        If the test was loaded from disk, was made on other events, or has no
        kernels, or if there are fewer than 20 draws for each of them.

    References
    ----------
    C. R. Rao, Proc. Camb. Phil. Soc. 44 (1948) 50 (score test with free parameters).

    Examples
    --------
    >>> import numpy as np
    >>> import verisimile as vs
    >>> from scipy import stats
    >>> members = [vs.adapt(stats.norm(mean)) for mean in (-0.5, 0.5)]
    >>> x = np.random.default_rng(1).normal(size=(400, 1))
    >>> fit = vs.fit_weights(np.column_stack([each.log_prob(x) for each in members]))
    >>> mixture = vs.Mixture(members, fit)
    >>> run = vs.Run(vs.Seeds(1))
    >>> test = vs.Events(np.random.default_rng(2).normal(size=(200, 1)))
    >>> quick = vs.goodness.Search((vs.GaussianKernels(count=5),), placements=1)
    >>> found = vs.goodness_of_fit(run, mixture, test, alternative=quick, toys=19)
    >>> place = vs.localise(run, found, test)
    >>> place.z.shape == (len(place.centres),)
    True
    """
    events = as_events(events, "events")
    matched = match_features(events, fitted_here(goodness.fitted).setup.null.features)
    fitted = _checked(goodness, matched)
    kernels = fitted.setup.kernels
    size = int(np.clip(_PER_EVENT * matched.n, *_DRAWS)) if draws is None else draws
    require(
        size >= _PER_KERNEL * kernels.widths.size,
        "draws",
        got=size,
        expected=f"at least {_PER_KERNEL} for each of {kernels.widths.size} kernels",
        remedy="Leave it out: the default suits the test sample.",
    )
    known = information(run, fitted, kernels, size)
    slopes, nearby, shares = zip(*_block_sums(fitted, kernels, matched.x), strict=True)
    near = np.sum(nearby, axis=0)
    score = near - matched.n * known.expected
    free = HYPOTHESES[goodness.hypothesis].free
    if free:
        score = known.efficient(score, np.sum(slopes, axis=0) - fitted.profile.null, matched.n)
    variance = known.variance(matched.n, profiled="weights" if free else "nothing")
    return Localisation(
        alternative=goodness.leading.alternative,
        hypothesis=goodness.hypothesis,
        centres=frozen(kernels.transform.inverse(kernels.centres)),
        widths=frozen(kernels.widths),
        z=frozen(score / np.sqrt(variance)),
        coefficients=goodness.leading.coefficients,
        observed=frozen(near),
        expected=frozen(matched.n * known.expected),
        contributions=frozen(np.concatenate(shares)),
        draws=size,
    )


def _block_sums(
    fitted: FittedRatio, kernels: Kernels, x: Array
) -> Iterator[tuple[Array, Array, Array]]:
    """Yield sums of the slopes ``(r,)`` and of nearness ``(K,)``, and each event's share."""
    # In blocks: n times K kernel values of a large sample would not fit into memory.
    for start in range(0, x.shape[0], _BLOCK):
        block = x[start : start + _BLOCK]
        logf = data_log_densities(fitted.setup.null, block)
        seen = tangents(fitted, block, logf)
        ratio = fitted(block, logf)
        share = np.full(ratio.size, np.inf)  # where the null has no density
        np.log(ratio, out=share, where=ratio > 0.0)
        yield seen.weights.sum(axis=0), nearness(kernels, block).sum(axis=0), 2.0 * share


def _checked(goodness: Goodness, events: Events) -> FittedRatio:
    fitted = fitted_here(goodness.fitted)
    require(
        events.digest == goodness.events_digest,
        "events",
        got="another sample than was tested",
        expected="the test sample of this result, in its order",
    )
    require(
        fitted.setup.kernels.widths.size,
        "goodness",
        got="an alternative without kernels",
        expected="kernels, whose places can be named",
    )
    return fitted


_STEEP = 200.0  # kernel over null beyond e^200 is as good as infinite, and squares must not be


@dataclass(frozen=True, slots=True, eq=False)
class Tangents:
    r"""The fitted null at events, and how it changes with the weights.

    At the n' of n events where the null is positive, :math:`\log p_0` ``(n',)`` and its slope
    :math:`B / p_0` along the variations of the weights ``(n', r)``.
    """

    possible: BoolArray
    log_null: Array
    weights: Array


def tangents(fitted: FittedRatio, x: Array, logf: Array) -> Tangents:
    """Return the tangents of a fitted null at events ``(n, d)``, of log-densities ``(n, M)``."""
    setup = fitted.setup
    null = setup.null
    relative, _ = fits_of_data(setup, x, logf).relative(fitted.profile)
    top = np.maximum(logf.max(axis=1), np.finfo(np.float64).min)  # -inf: impossible, no NaN
    density = np.exp(logf - top[:, None])
    at_null = relative * (density @ null.weights)
    possible = at_null > 0.0  # NaN, where the mixture itself is not positive, is not
    return Tangents(
        possible,
        top[possible] + np.log(at_null[possible]),
        (density[possible] @ null.variations) / at_null[possible, None],
    )


@dataclass(frozen=True, slots=True, eq=False)
class NullMoments:
    """Moments of the null, for one event, of kernels scaled to one at their centres and of B/p0.

    Attributes
    ----------
    expected, error
        Mean of each kernel, and the standard error of its estimate, ``(K,)``.
    kernels, cross, weights
        Variance of the kernels ``(K,)``, their covariance with B/p0 ``(K, r)``, and its own
        ``(r, r)``.
    """

    expected: Array
    error: Array
    kernels: Array
    cross: Array
    weights: Array

    def variance(self, n: int, *, profiled: str) -> Array:
        r"""Return the variance of the scores at n events, ``(K,)``.

        .. math:: V_k = n I_{kk} - n I_{k\eta} (n I_{\eta\eta} + 1)^{-1} n I_{\eta k}

        where the weights are profiled under their constraint, and
        :math:`n I_{kk} + |n I_{k\eta}|^2` where they are frozen while the truth
        differs from them by a draw of their covariance; to both the error of
        the expectation is added.

        `profiled` is ``"weights"`` or ``"nothing"``.
        """
        cross = n * self.cross
        if profiled == "weights":
            absorbed = -np.einsum("kr,rk->k", cross, solve_spd(self._curvature(n), cross.T))
        else:
            absorbed = (cross * cross).sum(axis=1)
        return np.asarray(n * self.kernels + absorbed + (n * self.error) ** 2)

    def efficient(self, score: Array, slope: Array, n: int) -> Array:
        r"""Return :math:`s_k - n I_{k\eta} (n I_{\eta\eta} + 1)^{-1} s_\eta`, ``(K,)``.

        `slope` is the gradient of the constrained log-likelihood along the weights ``(r,)``:
        zero at the optimum, but for the barrier.
        """
        return np.asarray(score - n * self.cross @ solve_spd(self._curvature(n), slope))

    def _curvature(self, n: int) -> Array:
        return np.asarray(n * self.weights + np.eye(self.weights.shape[0]))


def information(run: Run, fitted: FittedRatio, kernels: Kernels, draws: int) -> NullMoments:
    r"""Estimate the moments of the fitted null from events of the null and of the kernels.

    Half of the events come from the model as it was fitted, :math:`f_0`, as many from the
    kernels, each weighted by

    .. math:: \omega = \frac{p_0}{\frac12 f_0 + \frac1{2K} \sum_k k_k},

    so that kernels which the null rarely reaches are known as well as others.
    The test sample is not used: a deviation must not enlarge its own error.

    References
    ----------
    E. Veach, L. Guibas, SIGGRAPH (1995), sec. 3 (the balance heuristic).
    """
    null = fitted.setup.null
    count, d = kernels.centres.shape
    each = max(draws // (2 * count), 1)
    own, own_logs = null.kept(run, each * count)
    rng = run.seeds.at("localise").numpy()
    steps = kernels.widths[:, None, None] * rng.standard_normal((count, each, d))
    x = kernels.transform.inverse((kernels.centres[:, None, :] + steps).reshape(-1, d))
    logf = null.log_densities(x)
    held = logf.max(axis=1) > -np.inf
    pool = np.concatenate([own, x[held]])
    logs = np.concatenate([own_logs, logf[held]])
    seen = tangents(fitted, pool, logs)
    inside = pool[seen.possible]
    proposed = mixed_log_density(logs[seen.possible], null.weights)
    share = _share(seen, proposed, kernels.log_density(inside))
    near = nearness(kernels, inside)
    expected = share @ near
    return NullMoments(
        expected=expected,
        error=np.sqrt((share * share) @ (near - expected) ** 2),
        kernels=share @ (near * near) - expected**2,
        cross=_covariance(near, seen.weights, share),
        weights=_covariance(seen.weights, seen.weights, share),
    )


def nearness(kernels: Kernels, x: Array) -> Array:
    """Return the kernels at events ``(n, d)``, scaled to one at their centres, ``(n, K)``."""
    y, _ = kernels.transform.forward(x)
    out = np.empty((x.shape[0], kernels.widths.size))
    for k, (centre, width) in enumerate(zip(kernels.centres, kernels.widths, strict=True)):
        out[:, k] = np.exp(-0.5 * (((y - centre) / width) ** 2).sum(axis=1))
    return out


def _share(seen: Tangents, proposed: Array, log_kernels: Array) -> Array:
    """Return the weights of the events, which sum to one, from the null's own log-density."""
    own = np.exp(proposed - seen.log_null)  # 1, unless the null is no mixture of the members
    ratios = np.exp(np.minimum(log_kernels - seen.log_null[:, None], _STEEP))
    weight = 2.0 / (own + ratios.mean(axis=1))
    return np.asarray(weight / weight.sum())


def _covariance(left: Array, right: Array, share: Array) -> Array:
    mean = np.outer(share @ left, share @ right)
    return np.asarray((left * share[:, None]).T @ right - mean)
