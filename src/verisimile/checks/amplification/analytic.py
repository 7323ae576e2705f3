"""How many events a mixture of weighted members is worth, from its own covariance."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from verisimile.checks.amplification.regions import Regions, tally
from verisimile.checks.amplification.result import Amplification, check_plan, normal_interval
from verisimile.core.arrays import Array, as_vector
from verisimile.core.errors import require, require_at_least
from verisimile.core.result import Estimate, Result, register
from verisimile.core.run import Run
from verisimile.mixture.discrepancy.corrected import CorrectedMixture
from verisimile.mixture.model import Mixture
from verisimile.stats.linalg import whitening

LEAVES_OUT = (
    "The members are taken as given: what other training samples would have made of them is not "
    "in the covariance of the weights. The interval has the error of the members' draws only."
)

_BLOCKS = 10
_DRAWS = 20_000

Propagation = Callable[[Array], Array]
"""Members' means of K observables ``(M, K)`` to the covariance ``(K, K)`` of the mixture's."""


@register("observable-worth", 1)
@dataclass(frozen=True, slots=True)
class ObservableWorth(Result):
    r"""The worth of the mixture for one observable.

    Attributes
    ----------
    mean, deviation
        Mean and standard deviation of h over events of the mixture.
    error
        Standard error of the mixture's mean, without Monte-Carlo noise.
    inverse_size
        One over the equivalent events, with its Monte-Carlo error.
    """

    name: str
    mean: float
    deviation: float
    error: float
    inverse_size: Estimate

    @property
    def n_equivalent(self) -> float:
        """Events of the truth whose mean of h has the same error."""
        value = self.inverse_size.value
        return math.inf if value <= 0.0 else 1.0 / value


@register("mixture-worth", 1)
@dataclass(frozen=True, slots=True)
class MixtureWorth(Result):
    """The worth of a mixture for several observables."""

    observables: tuple[ObservableWorth, ...]
    warnings: tuple[str, ...] = ()
    listed: ClassVar[tuple[str, ...]] = ("observables",)


def analytic_observables(
    run: Run,
    mixture: Mixture,
    observables: Mapping[str, Callable[[Array], Array]],
    *,
    covariance: Propagation | None = None,
    draws: int | None = None,
) -> MixtureWorth:
    r"""Return how many events the mixture is worth for each observable.

    .. math:: n_\mathrm{equiv}(h) = \frac{\mathrm{var}_{\hat f}(h)}{O^T C\, O}, \qquad
              O_i = \int h f_i

    The O of finite draws would add :math:`\sum_i C_{ii} \mathrm{var}_i(h) / n` to the
    denominator; the jackknife over ten blocks of draws takes it away and gives
    the error.

    For a mixture with its discrepancy the denominator is the honest variance, that of
    ``mixture.expectation(h, run)`` without the part of the draws:

    .. math:: n_\mathrm{equiv}(h) = \frac{\mathrm{var}_p(h)}{g^T \Sigma\, g}, \qquad
              g = \mathrm{Cov}_p((s, \varphi), h)

    Parameters
    ----------
    run
        Gives the random stream and keeps the members' draws.
    mixture
        Members with fitted weights.
    observables
        Functions of events ``(n, d)`` to values ``(n,)``, by name.
    covariance
        From the members' means ``(M, K)`` to the covariance ``(K, K)`` of the
        mixture's, if that of the weights alone, :math:`O^T C\, O`, is not enough.  Not with a
        discrepancy, whose covariance is that of the whole.
    draws
        Events drawn per member, 20 or more; 20 000 if not given.  With a discrepancy, events
        drawn of the mixture; those of its fit if not given.

    Raises
    ------
    InputError
        If there are no observables, too few draws, or `covariance` is given with a discrepancy.
    """
    require(observables, "observables", got="none", expected="at least one")

    def values(x: Array) -> Array:
        return np.column_stack([as_vector(h(x), name) for name, h in observables.items()])

    _check(mixture, covariance)
    blocks: Sequence[Array]
    if isinstance(mixture, CorrectedMixture):
        (blocks,), parts = _weighted_sums(run, mixture, draws, [values]), _honest(mixture)
    else:
        blocks = _moments(run, mixture, draws, values)
        parts = _given_members(mixture, covariance)

    def worth_of(*sums: Array) -> Array:
        mean, scatter, variance = parts(*sums)
        return np.stack([mean, scatter, variance, variance / scatter])

    found, errors = _jackknife(blocks, worth_of)
    worth = tuple(
        ObservableWorth(
            name=name,
            mean=float(mean),
            deviation=math.sqrt(max(float(scatter), 0.0)),
            error=math.sqrt(max(float(variance), 0.0)),
            inverse_size=Estimate(float(ratio), float(error)),
        )
        for name, (mean, scatter, variance, ratio), error in zip(
            observables, found.T, errors[3], strict=True
        )
    )
    return MixtureWorth(worth, _left_out(mixture, covariance))


def analytic(
    run: Run,
    mixture: Mixture,
    regions: Regions,
    *,
    n_train: int,
    covariance: Propagation | None = None,
    draws: int | None = None,
    levels: Sequence[float] = (0.68, 0.95),
) -> Amplification:
    r"""Return the amplification of the mixture over regions.

    .. math:: \frac1G = n_\mathrm{train}
              \frac{\sum_i \mathrm{var}(\hat P_i)}{\sum_i \hat P_i (1 - \hat P_i)}

    This is the averaging measure over draws of the weights from their
    covariance, without the draws.  For a mixture with its discrepancy it is that over draws of
    weights and discrepancy: ``1 / G`` is the honest one.

    Parameters
    ----------
    run, mixture, covariance, draws
        As for :func:`analytic_observables`.
    regions
        Object with ``count`` and ``of(x)``: the region of each event.
    n_train
        Events to compare with: those of the weight fit, or of all the training.
    levels
        Contents of the intervals, which have the error of the draws only.
    """
    return analytic_at(
        run, mixture, (regions,), n_train=n_train, covariance=covariance, draws=draws, levels=levels
    )[0]


def analytic_at(
    run: Run,
    mixture: Mixture,
    resolutions: Sequence[Regions],
    *,
    n_train: int,
    covariance: Propagation | None = None,
    draws: int | None = None,
    levels: Sequence[float] = (0.68, 0.95),
) -> tuple[Amplification, ...]:
    """Return :func:`analytic` at several resolutions, from one pass over the same draws."""
    check_plan(n_train, levels)
    _check(mixture, covariance)
    found: list[tuple[Sequence[Array], _Parts]]
    if isinstance(mixture, CorrectedMixture):
        size = mixture.discrepancy.record.reference if draws is None else draws
        honest = _honest(mixture)
        inside = [partial(_indicators, regions) for regions in resolutions]
        found = [(sums, honest) for sums in _weighted_sums(run, mixture, draws, inside)]
    else:
        size = _DRAWS if draws is None else draws
        given, samples = _given_members(mixture, covariance), _drawn(run, mixture, draws)
        contents = [_contents(samples, regions) for regions in resolutions]
        # An indicator is its own square.
        found = [((content, content), given) for content in contents]
    inverses = [_pooled(sums, parts, n_train) for sums, parts in found]
    return tuple(
        Amplification(
            measure="analytic",
            resolution=regions.count,
            inverse_gain=inverse,
            intervals=tuple(normal_interval(inverse, level) for level in levels),
            n_train=n_train,
            n_generated=size,
            n_holdout=0,
            details={"members": float(mixture.weights.size)},
            warnings=_left_out(mixture, covariance),
        )
        for regions, inverse in zip(resolutions, inverses, strict=True)
    )


_Parts = Callable[..., tuple[Array, Array, Array]]
"""From sums over draws to mean, variance and squared error of each observable, ``(K,)`` each."""


def _check(mixture: Mixture, covariance: Propagation | None) -> None:
    require(
        covariance is None or not isinstance(mixture, CorrectedMixture),
        "covariance",
        got="a function of the members' means for a mixture with discrepancy",
        expected="none: its own covariance holds what the members miss",
        remedy="Leave out covariance=, or use mixture.uncorrected.",
    )


def _left_out(mixture: Mixture, covariance: Propagation | None) -> tuple[str, ...]:
    return () if covariance or isinstance(mixture, CorrectedMixture) else (LEAVES_OUT,)


def _given_members(mixture: Mixture, covariance: Propagation | None) -> _Parts:
    weights = mixture.weights
    spread = covariance or (lambda first: np.asarray(first.T @ mixture.fit.covariance @ first))

    def parts(first: Array, second: Array) -> tuple[Array, Array, Array]:
        mean = weights @ first
        return mean, weights @ second - mean**2, np.diag(spread(first))

    return parts


def _honest(mixture: CorrectedMixture) -> _Parts:
    half = whitening(mixture.discrepancy.covariance)

    def parts(
        share: Array, first: Array, second: Array, rows: Array, products: Array
    ) -> tuple[Array, Array, Array]:
        mean = first / share
        gradient = products / share - np.outer(rows / share, mean)
        return mean, second / share - mean**2, ((half.T @ gradient) ** 2).sum(axis=0)

    return parts


def _weighted_sums(
    run: Run,
    mixture: CorrectedMixture,
    draws: int | None,
    observables: Sequence[Callable[[Array], Array]],
) -> list[tuple[Array, ...]]:
    r"""Return sums over blocks of draws, weighted by the ratio of the densities, of each h(x).

    Of :math:`1, h, h^2, (s, \varphi), (s, \varphi) h`: ``(B,), (B, K), (B, K), (B, r + P),
    (B, r + P, K)``.
    """
    require_at_least(2 * _BLOCKS, 2 * _BLOCKS if draws is None else draws, "draws")
    x, logf = mixture.plain_draws(run, draws)
    fit, kept = mixture.discrepancy, len(x) - len(x) % _BLOCKS
    found: list[list[tuple[Array, ...]]] = [[] for _ in observables]
    for part in np.split(np.arange(kept), _BLOCKS):
        at = fit.functions.at(x[part], logf[part])
        share = np.exp(fit.log_ratio(at)) / len(part)
        for blocks, values in zip(found, observables, strict=True):
            h = values(x[part])
            weighted = h * share[:, None]
            sums = weighted.sum(0), (weighted * h).sum(0), share @ at, at.T @ weighted
            blocks.append((share.sum(), *sums))
    return [tuple(np.array(sums) for sums in zip(*blocks, strict=True)) for blocks in found]


def _indicators(regions: Regions, x: Array) -> Array:
    """Return which region each event lies in, ``(n, K)``."""
    labels = regions.of(x)
    tally(labels, regions.count, len(x))
    return np.asarray(labels[:, None] == np.arange(regions.count), dtype=np.float64)


def _pooled(sums: Sequence[Array], parts: _Parts, n_train: int) -> Estimate:
    """Return 1/G of variances and contents summed over the regions."""

    def pooled(*blocks: Array) -> Array:
        content, _, variance = parts(*blocks)
        return np.array([variance.sum() / (content * (1.0 - content)).sum()])

    found, errors = _jackknife(sums, pooled)
    return Estimate(n_train * float(found[0]), n_train * float(errors[0]))


def _moments(
    run: Run, mixture: Mixture, draws: int | None, values: Callable[[Array], Array]
) -> tuple[Array, Array]:
    """Return means of the values and of their squares in blocks of draws ``(B, M, K)``."""
    table = np.array([values(x) for x in _drawn(run, mixture, draws)])
    parts = np.stack(np.split(table, _BLOCKS, axis=1))
    return parts.mean(axis=2), (parts**2).mean(axis=2)


def _contents(samples: Sequence[Array], regions: Regions) -> Array:
    """Return each member's fraction in each region in blocks of draws ``(B, M, K)``."""
    rows = [
        [
            tally(labels, regions.count, labels.size)[1:]
            for labels in np.split(regions.of(x), _BLOCKS)
        ]
        for x in samples
    ]
    return np.swapaxes(np.array(rows), 0, 1) * (_BLOCKS / len(samples[0]))


def _drawn(run: Run, mixture: Mixture, draws: int | None) -> list[Array]:
    """Return draws of each member, cut to equal blocks."""
    size = _DRAWS if draws is None else draws
    require_at_least(2 * _BLOCKS, size, "draws")
    return [x[: size - size % _BLOCKS] for x in mixture.draws(run, size)]


def _jackknife(blocks: Sequence[Array], parts: Callable[..., Array]) -> tuple[Array, Array]:
    """Return the estimate without its bias in one over the draws, and its error.

    The numerators are quadratic in means of draws, whose bias this removes exactly.
    """
    whole = parts(*(item.mean(axis=0) for item in blocks))
    kept = [np.delete(np.arange(_BLOCKS), b) for b in range(_BLOCKS)]
    left_out = np.array([parts(*(item[k].mean(axis=0) for item in blocks)) for k in kept])
    value = _BLOCKS * whole - (_BLOCKS - 1) * left_out.mean(axis=0)
    return value, np.asarray(np.sqrt((_BLOCKS - 1) * left_out.var(axis=0)))
