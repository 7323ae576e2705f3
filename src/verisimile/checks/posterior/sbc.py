"""`sbc`: simulation-based calibration, the rank of each truth among posterior draws."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from verisimile.checks.posterior.simulations import Simulations
from verisimile.checks.posterior.uniformity import (
    Uniformity,
    UniformNull,
    UniformTest,
    jitter,
)
from verisimile.core.arrays import Array, IntArray
from verisimile.core.errors import require
from verisimile.core.result import Result, register
from verisimile.core.run import Run
from verisimile.stats.aggregate import holm
from verisimile.stats.pvalues import PValue

Quantity = Callable[[Array, Array], npt.ArrayLike]
"""Returns values ``(m,)`` of parameters ``(m, d)`` and their contexts ``(m, k)``."""


@register("sbc", 1)
@dataclass(frozen=True, slots=True)
class Sbc(Result):
    """Simulation-based calibration of a posterior.

    Attributes
    ----------
    p_value
        That all ranks are uniform: the smallest of `adjusted`.
    quantities
        Tests of each parameter, then of each further quantity.
    adjusted
        Their p-values by Holm's method, in the same order ``(J,)``.
    """

    p_value: PValue
    quantities: tuple[Uniformity, ...]
    adjusted: Array
    n: int
    n_draws: int
    warnings: tuple[str, ...] = ()
    listed: ClassVar[tuple[str, ...]] = ("quantities", "adjusted")

    def __repr__(self) -> str:
        worst = self.quantities[int(np.argmin(self.adjusted))]
        return (
            f"Sbc(p={self.p_value.value:.4g} from {worst.name} of {len(self.quantities)}, "
            f"n={self.n}, S={self.n_draws})"
        )


def sbc(
    run: Run,
    draws: npt.ArrayLike,
    truths: npt.ArrayLike,
    *,
    contexts: npt.ArrayLike | None = None,
    quantities: Mapping[str, Quantity] | None = None,
    names: Sequence[str] | None = None,
    test: UniformTest = UniformTest(),  # noqa: B008  (a frozen value)
) -> Sbc:
    r"""Test whether truths rank uniformly among posterior draws.

    .. math:: k_i = \#\{s : q(\theta_{is}, x_i) < q(\theta_i, x_i)\}, \qquad
              u_i = \frac{k_i + v_i}{S + 1}, \quad v_i \sim U(0, 1)

    with ties broken at random, for q each parameter and each of `quantities`, and Holm's
    correction over all.  If the posterior is exact, :math:`u_i` is exactly uniform at every S.

    Parameters
    ----------
    draws
        Independent posterior draws of each simulation ``(n, S, d)``; thin a Markov chain.
    truths
        Parameters that were drawn from the prior and simulated with ``(n, d)``.
    contexts
        What was simulated ``(n, k)``, for `quantities`.
    quantities
        Further functions of parameters and context, by name; for example
        ``{"log q": model.log_prob}``.  Ranks of parameters alone cannot see a posterior that
        ignores x: add one that depends on x, such as a log-likelihood.
    names
        Of the parameters; by default ``theta0``, ``theta1``, ….

    References
    ----------
    S. Talts et al., arXiv:1804.06788; M. Modrák et al., Bayesian Anal. 20 (2025) 461 (quantities
    that depend on x); T. Säilynoja et al., Stat. Comput. 32 (2022) 32 (bands).

    Examples
    --------
    >>> from verisimile.core.random import Seeds
    >>> rng = np.random.default_rng(1)
    >>> draws, truths = rng.normal(size=(200, 30, 1)), 2.0 * rng.normal(size=(200, 1))
    >>> sbc(Run(Seeds(1)), draws, truths).p_value.value
    0.001
    """
    given = Simulations.checked(draws, truths, contexts)
    rng, ranks, ties = run.at("sbc", "ties").seeds.numpy(), {}, {}
    for name, (of_draws, of_truths) in _named(given, names, quantities).items():
        ranks[name], equal = ranks_among(of_draws, of_truths, rng)
        ties[name] = float((equal > 0).mean())
    null = UniformNull.simulate(given.n, test, run.at("sbc", "null").seeds.numpy())
    rng = run.at("sbc", "jitter").seeds.numpy()
    found = tuple(
        null.compare(jitter(each, given.n_draws, rng), name, n_draws=given.n_draws)
        for name, each in ranks.items()
    )
    adjusted, p_value = _combined([one.p_value for one in found])
    return Sbc(p_value, found, adjusted, given.n, given.n_draws, _warnings(ties, adjusted, test))


def ranks_among(values: Array, truth: Array, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Return ranks of truths ``(n,)`` among values ``(n, S)``, and how many values tie with each.

    A truth that ties with t values takes each of its t + 1 possible ranks with equal chance.
    """
    below = (values < truth[:, None]).sum(axis=1)
    equal = (values == truth[:, None]).sum(axis=1)
    return below + rng.integers(equal + 1), equal


def _named(
    given: Simulations, names: Sequence[str] | None, quantities: Mapping[str, Quantity] | None
) -> dict[str, tuple[Array, Array]]:
    """Return values of draws ``(n, S)`` and truths ``(n,)`` by name."""
    d = given.truths.shape[1]
    words = [f"theta{j}" for j in range(d)] if names is None else list(names)
    further = dict(quantities or {})
    fit = len(words) == d and len({*words, *further}) == d + len(further)
    expected = f"{d} names, and none of them twice"
    require(fit, "names", got=f"{[*words, *further]}", expected=expected)
    out = {word: (given.draws[..., j], given.truths[:, j]) for j, word in enumerate(words)}
    out.update({word: _evaluated(given, word, function) for word, function in further.items()})
    return out


def _evaluated(given: Simulations, name: str, function: Quantity) -> tuple[Array, Array]:
    n, count, d = given.draws.shape
    rows = np.repeat(given.contexts, count, axis=0)
    where = f"quantities[{name!r}]"
    of_draws = _ordered(function(given.draws.reshape(-1, d), rows), where, n * count)
    of_truths = _ordered(function(given.truths, given.contexts), where, n)
    return of_draws.reshape(n, count), of_truths


def _ordered(values: npt.ArrayLike, where: str, length: int) -> Array:
    # Infinite values have ranks: a truth outside the support has log q = -inf.
    found = np.asarray(values, dtype=np.float64)
    missing = int(np.isnan(found).sum())
    got = f"values of shape {found.shape}, {missing} of them NaN"
    fine = found.shape == (length,) and not missing
    require(fine, where, got=got, expected=f"{length} numbers")
    return found


def _combined(each: Sequence[PValue]) -> tuple[Array, PValue]:
    adjusted = holm([p.value for p in each])
    low, high = (float(holm([getattr(p, end) for p in each]).min()) for end in ("low", "high"))
    worst = each[int(np.argmin(adjusted))]
    return adjusted, PValue(
        float(adjusted.min()), low, high, f"{worst.null}, Holm", worst.n_null, worst.n_failed
    )


def _warnings(ties: Mapping[str, float], adjusted: Array, test: UniformTest) -> tuple[str, ...]:
    out = [
        f"{name}: {share:.1%} of truths tie with a draw; such ranks are drawn at random."
        for name, share in ties.items()
        if share > 0.0
    ]
    if test.statistic != "kolmogorov" and adjusted.size > test.level * (test.toys + 1):
        out.append(
            f"{test.toys} toys cannot give an adjusted p-value below "
            f"{adjusted.size / (test.toys + 1):.3g}: ask for more."
        )
    return tuple(out)
