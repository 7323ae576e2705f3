"""`tarp`: expected coverage of credible balls around random points, and where they are centred."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from verisimile.checks.posterior.simulations import Hidden, Simulations
from verisimile.checks.posterior.uniformity import (
    Uniformity,
    UniformNull,
    UniformTest,
    anderson_darling,
    jitter,
    kolmogorov,
)
from verisimile.core.arrays import Array, IntArray, as_matrix
from verisimile.core.errors import require, require_at_least, require_one_of
from verisimile.core.result import Estimate, Result, register
from verisimile.core.run import Run
from verisimile.stats.aggregate import min_p
from verisimile.stats.pvalues import PValue

_STATISTICS = {"kolmogorov": kolmogorov, "anderson-darling": anderson_darling}
_NULL = "another draw as truth"


class References(Protocol):
    """A rule that places R references for each simulation."""

    def points(self, pool: Array, contexts: Array, rng: np.random.Generator) -> Array:
        """Return references ``(n, R, d)`` from `pool` ``(n, S + 1, d)`` and x ``(n, k)``.

        The truth of each simulation is hidden at a random place among its draws, so that a
        rule may use the pool: it cannot tell which of them is the truth.
        """
        ...


@dataclass(frozen=True, slots=True)
class ShiftedCentres:
    r"""The centre of each posterior, shifted by a random linear map of x.

    .. math:: r_{ia} = \bar\theta_i + h\, \sigma \odot W_a z(x_i), \qquad
              W_a \sim N(0, 1/k)

    with :math:`\bar\theta_i` the mean of truth and draws of simulation i, :math:`\sigma` the
    mean spread within simulations and z(x) standardised.  Near the centre the distance sees a
    wrong width best; the shift by x sees a posterior that ignores x.

    Parameters
    ----------
    count
        R, maps :math:`W_a`.
    shift
        h >= 0; without it there is no dependence on x, and the test is blind to such a posterior.
    """

    count: int = 4
    shift: float = 0.5

    def __post_init__(self) -> None:
        require(
            self.count >= 1 and 0.0 <= self.shift < np.inf,
            "ShiftedCentres",
            got=f"count={self.count}, shift={self.shift}",
            expected="one map or more, shift >= 0",
        )

    def points(self, pool: Array, contexts: Array, rng: np.random.Generator) -> Array:
        """Return centres plus shifts."""
        require(
            contexts.shape[1],
            "contexts",
            got="no columns",
            expected="what was simulated, x: the references depend on it",
            remedy="UniformBox() needs none, but is blind to a posterior that ignores x.",
        )
        z = (contexts - contexts.mean(axis=0)) / _scale(contexts)
        size = (self.count, z.shape[1], pool.shape[2])
        maps = rng.normal(size=size) / np.sqrt(z.shape[1])
        spread = np.sqrt(pool.var(axis=1).mean(axis=0))
        shifts = np.einsum("nk,rkd->nrd", z, maps)
        return np.asarray(pool.mean(axis=1)[:, None] + self.shift * spread * shifts)


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """Parameters of the simulations nearest in x, out of a set of other simulations.

    Parameters
    ----------
    truths, contexts
        Of simulations ``(m, d)``, ``(m, k)`` none of which is tested: a tested truth that is
        the reference of another simulation makes ranks depend on each other.
    count
        R: the nearest, the next one, ….
    """

    truths: Array
    contexts: Array
    count: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "truths", as_matrix(self.truths, "Neighbours.truths"))
        object.__setattr__(self, "contexts", as_matrix(self.contexts, "Neighbours.contexts"))
        rows = len(self.truths)
        require(
            len(self.contexts) == rows and 1 <= self.count <= rows,
            "Neighbours",
            got=f"{rows} truths, {len(self.contexts)} contexts, count={self.count}",
            expected="one context each, count or more",
        )

    def points(self, pool: Array, contexts: Array, rng: np.random.Generator) -> Array:  # noqa: ARG002
        """Return parameters of neighbours in standardised x."""
        shared = self._tested(pool, contexts)
        require(
            not shared,
            "Neighbours",
            got=f"{shared} simulations that are also tested",
            expected="other simulations",
            remedy="Split the simulations in two.",
        )
        mean, scale = self.contexts.mean(axis=0), _scale(self.contexts)
        tree = cKDTree((self.contexts - mean) / scale)
        _, index = tree.query((contexts - mean) / scale, k=list(range(1, self.count + 1)))
        return np.asarray(self.truths[index])

    def _tested(self, pool: Array, contexts: Array) -> int:
        known = {row.tobytes(): j for j, row in enumerate(self.contexts)}
        pairs = [(i, known.get(row.tobytes())) for i, row in enumerate(contexts)]
        return sum(
            j is not None and bool((pool[i] == self.truths[j]).all(axis=1).any()) for i, j in pairs
        )


@dataclass(frozen=True, slots=True)
class UniformBox:
    """References uniform in the box of all truths and draws, whatever x is.

    Blind to a posterior that ignores x: the prior passes.

    Parameters
    ----------
    count
        R, references for each simulation.
    """

    count: int = 1

    def __post_init__(self) -> None:
        require_at_least(1, self.count, "UniformBox.count")

    def points(self, pool: Array, contexts: Array, rng: np.random.Generator) -> Array:  # noqa: ARG002
        """Return uniform points."""
        size = (len(pool), self.count, pool.shape[2])
        return np.asarray(rng.uniform(pool.min(axis=(0, 1)), pool.max(axis=(0, 1)), size=size))


@dataclass(frozen=True, slots=True, eq=False)
class FixedPoints:
    """Given references ``(n, R, d)``, which must not depend on the truths but through x."""

    values: Array

    def points(self, pool: Array, contexts: Array, rng: np.random.Generator) -> Array:  # noqa: ARG002
        """Return them."""
        return self.values


def _scale(x: Array) -> Array:
    """Return the spread of each column, over all other axes; 1 for one that is constant."""
    spread = x.std(axis=tuple(range(x.ndim - 1)))
    return np.where(spread > 0.0, spread, 1.0)


@register("tarp", 1)
@dataclass(frozen=True, slots=True)
class Tarp(Result):
    r"""Expected coverage of a posterior at all credibility levels.

    Attributes
    ----------
    p_value
        That the posterior is exact.  One reference: its uniformity test.  Several: their
        smallest p-value, calibrated by taking other draws for the truth.
    references
        Uniformity of the credibility levels for each reference ``(R,)``; in `curve` the
        expected coverage ECP, with its simultaneous band.  Not corrected for their number.
    excess
        :math:`\int_{1/2}^1 (\mathrm{ECP}(\alpha) - \alpha)\,d\alpha` of the first reference:
        positive for a posterior that is too wide, negative for one that is too narrow.
    rule
        How references were placed.
    """

    p_value: PValue
    references: tuple[Uniformity, ...]
    excess: Estimate
    rule: str
    n: int
    n_draws: int
    listed: ClassVar[tuple[str, ...]] = ("references",)

    def __repr__(self) -> str:
        return (
            f"Tarp(p={self.p_value.value:.4g}, excess={self.excess.value:+.3f} ± "
            f"{self.excess.error:.2g}, {len(self.references)} {self.rule}, "
            f"n={self.n}, S={self.n_draws})"
        )


def tarp(
    run: Run,
    draws: npt.ArrayLike,
    truths: npt.ArrayLike,
    contexts: npt.ArrayLike | None = None,
    *,
    references: References = ShiftedCentres(),
    test: UniformTest = UniformTest(statistic="kolmogorov"),  # noqa: B008  (a frozen value)
) -> Tarp:
    r"""Test the coverage of credible balls around reference points.

    With :math:`r_i` a reference that is independent of :math:`\theta_i` given :math:`x_i`,

    .. math:: k_i = \#\{s : |\theta_{is} - r_i| < |\theta_i - r_i|\}, \quad
              u_i = \frac{k_i + v_i}{S + 1}, \quad
              \mathrm{ECP}(\alpha) = \frac1n \#\{i : u_i \le \alpha\} ,

    distances in units of each parameter's overall spread, ties broken at random.  If the
    posterior is exact, :math:`u_i` is exactly uniform at every S.  Levels of several references
    of the same simulation depend on each other: their smallest p-value is compared
    with that of `toys` repetitions in which a random one of the S + 1 points of every simulation
    plays the truth, which is exact.

    Parameters
    ----------
    draws, truths
        As of :func:`~verisimile.checks.posterior.sbc.sbc`.
    contexts
        What was simulated, x ``(n, k)``; summaries of it will do.
    references
        Where the balls are centred.
    test
        ``kolmogorov`` or ``anderson-darling``, and the number of toys.

    References
    ----------
    P. Lemos, A. Coogan, Y. Hezaveh, L. Perreault-Levasseur, arXiv:2302.03026.

    Examples
    --------
    >>> from verisimile.core.random import Seeds
    >>> rng = np.random.default_rng(1)
    >>> x = rng.normal(size=(200, 1))
    >>> truths = x + rng.normal(size=(200, 1))
    >>> wide = x[:, None] + 2.0 * rng.normal(size=(200, 50, 1))
    >>> tarp(Run(Seeds(1)), wide, truths, x).p_value.value
    0.001
    """
    require_one_of(test.statistic, _STATISTICS, "statistic")
    given, here = Simulations.checked(draws, truths, contexts), run.at("tarp")
    hidden = given.hidden(here.at("places").seeds.numpy())
    points = _placed(references, hidden, given, here.at("references").seeds.numpy())
    ranks = _ranks(hidden.pool, points, here.at("ties").seeds.numpy())
    u = _levels(ranks, hidden.place, given.n_draws, here.at("jitter").seeds.numpy())
    null = UniformNull.simulate(given.n, test, here.at("null").seeds.numpy())
    found = tuple(
        null.compare(row, f"reference {a}", n_draws=given.n_draws) for a, row in enumerate(u)
    )
    p_value = found[0].p_value
    if len(found) > 1:
        p_value = _smallest(ranks, u, test, here.at("toys").seeds.numpy())
    rule = type(references).__name__
    return Tarp(p_value, found, _excess(u[0]), rule, given.n, given.n_draws)


def _placed(
    references: References, hidden: Hidden, given: Simulations, rng: np.random.Generator
) -> Array:
    found = np.asarray(references.points(hidden.pool, given.contexts, rng), dtype=np.float64)
    n, d = given.truths.shape
    require(
        found.ndim == 3 and found.shape[::2] == (n, d) and np.isfinite(found).all(),
        "references",
        got=f"points of shape {found.shape}, {int((~np.isfinite(found)).sum())} not finite",
        expected=f"finite points of shape ({n}, R, {d})",
    )
    return found


def _ranks(pool: Array, points: Array, rng: np.random.Generator) -> IntArray:
    """Return the rank by distance of all S + 1 points, for each reference ``(R, n, S + 1)``."""
    scale = _scale(pool)
    out = np.empty((points.shape[1], *pool.shape[:2]), dtype=np.int64)
    for a in range(points.shape[1]):
        distance = (((pool - points[:, a, None]) / scale) ** 2).sum(axis=2)
        order = np.lexsort((rng.random(distance.shape), distance), axis=-1)
        np.put_along_axis(out[a], order, np.arange(pool.shape[1])[None, :], axis=1)
    return out


def _levels(ranks: IntArray, place: IntArray, n_draws: int, rng: np.random.Generator) -> Array:
    """Return the credibility levels ``(R, n)`` if the points at `place` are the truths."""
    return jitter(ranks[:, np.arange(place.size), place], n_draws, rng)


def _smallest(ranks: IntArray, u: Array, test: UniformTest, rng: np.random.Generator) -> PValue:
    statistic = _STATISTICS[test.statistic]
    _, n, size = ranks.shape
    toys = np.empty((test.toys, len(u)))
    for b in range(test.toys):
        chosen = _levels(ranks, np.asarray(rng.integers(size, size=n)), size - 1, rng)
        toys[b] = statistic(np.sort(chosen, axis=1))
    return min_p(statistic(np.sort(u, axis=1)), toys, null=_NULL).p_value


def _excess(u: Array) -> Estimate:
    # The integral of 1{u <= a} over a from 1/2 to 1, less that of a, 3/8.
    each = 1.0 - np.maximum(u, 0.5)
    return Estimate(float(each.mean() - 0.375), float(each.std(ddof=1) / np.sqrt(u.size)))
