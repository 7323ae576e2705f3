"""`tarp`: expected coverage of credible balls around random points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from verisimile.checks.posterior.references import References, ShiftedCentres
from verisimile.checks.posterior.simulations import Hidden, Simulations
from verisimile.checks.posterior.uniformity import (
    Uniformity,
    UniformNull,
    UniformTest,
    anderson_darling,
    jittered,
    kolmogorov,
)
from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import InputError
from verisimile.core.result import Estimate, register
from verisimile.core.run import Run
from verisimile.stats.aggregate import min_p
from verisimile.stats.pvalues import PValue

_STATISTICS = {"kolmogorov": kolmogorov, "anderson-darling": anderson_darling}
_NULL = "another draw as truth"


@register("tarp", 1)
@dataclass(frozen=True, slots=True)
class Tarp:
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
    n, n_draws
        Number of simulations, and of draws for each.
    """

    p_value: PValue
    references: tuple[Uniformity, ...]
    excess: Estimate
    rule: str
    n: int
    n_draws: int

    def __repr__(self) -> str:
        """Return one line: p-value, excess, sizes."""
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
    references: References = ShiftedCentres(),  # noqa: B008  (a frozen value)
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
    run
        Carries the random streams.
    draws
        Independent posterior draws of each simulation ``(n, S, d)``; thin a Markov chain.
    truths
        Parameters that were drawn from the prior and simulated with ``(n, d)``.
    contexts
        What was simulated, x ``(n, k)``; summaries of it will do.
    references
        Where the balls are centred.
    test
        ``kolmogorov`` or ``anderson-darling``, and the number of toys.

    Returns
    -------
    Tarp
        The test, and the curve of each reference.

    Raises
    ------
    InputError
        If shapes do not fit, or the statistic is another.

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
    if test.statistic not in _STATISTICS:
        raise InputError("statistic", got=test.statistic, expected=f"one of {list(_STATISTICS)}")
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
    if found.ndim != 3 or found.shape[::2] != (n, d) or not np.isfinite(found).all():
        raise InputError(
            "references",
            got=f"points of shape {found.shape}, {int((~np.isfinite(found)).sum())} not finite",
            expected=f"finite points of shape ({n}, R, {d})",
        )
    return found


def _ranks(pool: Array, points: Array, rng: np.random.Generator) -> IntArray:
    """Return the rank by distance of all S + 1 points, for each reference ``(R, n, S + 1)``."""
    spread = pool.std(axis=(0, 1))
    scale = np.where(spread > 0.0, spread, 1.0)
    out = np.empty((points.shape[1], *pool.shape[:2]), dtype=np.int64)
    for a in range(points.shape[1]):
        distance = (((pool - points[:, a, None]) / scale) ** 2).sum(axis=2)
        order = np.lexsort((rng.random(distance.shape), distance), axis=-1)
        np.put_along_axis(out[a], order, np.arange(pool.shape[1])[None, :], axis=1)
    return out


def _levels(ranks: IntArray, place: IntArray, n_draws: int, rng: np.random.Generator) -> Array:
    """Return the credibility levels ``(R, n)`` if the points at `place` are the truths."""
    return jittered(ranks[:, np.arange(place.size), place], n_draws, rng)


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
