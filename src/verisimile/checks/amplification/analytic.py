"""How many events a mixture of weighted members is worth, from the covariance of its weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.checks.amplification.regions import Regions, tally
from verisimile.checks.amplification.result import Amplification, check_plan, normal_interval
from verisimile.core.arrays import Array, as_vector
from verisimile.core.errors import require, require_at_least
from verisimile.core.result import Estimate, register
from verisimile.core.run import Run
from verisimile.mixture.model import Mixture

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
class ObservableWorth:
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
class MixtureWorth:
    """The worth of a mixture for several observables."""

    observables: tuple[ObservableWorth, ...]
    warnings: tuple[str, ...] = ()


def analytic_observables(
    run: Run,
    mixture: Mixture,
    observables: Mapping[str, Callable[[Array], Array]],
    *,
    covariance: Propagation | None = None,
    draws: int = _DRAWS,
) -> MixtureWorth:
    r"""Return how many events the mixture is worth for each observable.

    .. math:: n_\mathrm{equiv}(h) = \frac{\mathrm{var}_{\hat f}(h)}{O^T C\, O}, \qquad
              O_i = \int h f_i

    The O of finite draws would add :math:`\sum_i C_{ii} \mathrm{var}_i(h) / n` to the
    denominator; the jackknife over ten blocks of draws takes it away and gives
    the error.

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
        mixture's, if that of the weights alone, :math:`O^T C\, O`, is not enough.
    draws
        Events drawn per member, 20 or more.
    """
    require(observables, "observables", got="none", expected="at least one")

    def values(x: Array) -> Array:
        return np.column_stack([as_vector(h(x), name) for name, h in observables.items()])

    blocks = _moments(run, mixture, draws, values)
    weights, spread = mixture.weights, _propagation(mixture, covariance)

    def parts(first: Array, second: Array) -> Array:
        mean = weights @ first
        scatter = weights @ second - mean**2
        variance = np.diag(spread(first))
        return np.stack([mean, scatter, variance, variance / scatter])

    found, errors = _jackknife(blocks, parts)
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
    return MixtureWorth(worth, () if covariance else (LEAVES_OUT,))


def analytic(
    run: Run,
    mixture: Mixture,
    regions: Regions,
    *,
    n_train: int,
    covariance: Propagation | None = None,
    draws: int = _DRAWS,
    levels: Sequence[float] = (0.68, 0.95),
) -> Amplification:
    r"""Return the amplification of the mixture over regions.

    .. math:: \frac1G = n_\mathrm{train}
              \frac{\sum_i \mathrm{var}(\hat P_i)}{\sum_i \hat P_i (1 - \hat P_i)}

    This is the averaging measure over draws of the weights from their
    covariance, without the draws.

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
    check_plan(n_train, levels)

    def parts(first: Array, second: Array) -> Array:  # noqa: ARG001  (squares of indicators)
        content = mixture.weights @ first
        return np.array([np.trace(spread(first)) / (content * (1.0 - content)).sum()])

    spread = _propagation(mixture, covariance)
    blocks = _contents(run, mixture, draws, regions)
    found, errors = _jackknife((blocks, blocks), parts)
    inverse = Estimate(n_train * float(found[0]), n_train * float(errors[0]))
    return Amplification(
        measure="analytic",
        resolution=regions.count,
        inverse_gain=inverse,
        intervals=tuple(normal_interval(inverse, level) for level in levels),
        n_train=n_train,
        n_generated=draws,
        n_holdout=0,
        details={"members": float(mixture.weights.size)},
        warnings=() if covariance else (LEAVES_OUT,),
    )


def _propagation(mixture: Mixture, covariance: Propagation | None) -> Propagation:
    return covariance or (lambda first: np.asarray(first.T @ mixture.fit.covariance @ first))


def _moments(
    run: Run, mixture: Mixture, draws: int, values: Callable[[Array], Array]
) -> tuple[Array, Array]:
    """Return means of the values and of their squares in blocks of draws ``(B, M, K)``."""
    table = np.array([values(x) for x in _drawn(run, mixture, draws)])
    parts = np.stack(np.split(table, _BLOCKS, axis=1))
    return parts.mean(axis=2), (parts**2).mean(axis=2)


def _contents(run: Run, mixture: Mixture, draws: int, regions: Regions) -> Array:
    """Return each member's fraction in each region in blocks of draws ``(B, M, K)``."""
    count = regions.count
    rows = [
        [tally(labels, count, labels.size)[1:] for labels in np.split(regions.of(x), _BLOCKS)]
        for x in _drawn(run, mixture, draws)
    ]
    return np.swapaxes(np.array(rows), 0, 1) * (_BLOCKS / (draws - draws % _BLOCKS))


def _drawn(run: Run, mixture: Mixture, draws: int) -> list[Array]:
    """Return draws of each member, cut to equal blocks."""
    require_at_least(2 * _BLOCKS, draws, "draws")
    return [x[: draws - draws % _BLOCKS] for x in mixture.draws(run, draws)]


def _jackknife(
    blocks: tuple[Array, Array], parts: Callable[[Array, Array], Array]
) -> tuple[Array, Array]:
    """Return the estimate without its bias in one over the draws, and its error.

    The numerators are quadratic in means of draws, whose bias this removes exactly.
    """
    whole = parts(blocks[0].mean(axis=0), blocks[1].mean(axis=0))
    kept = [np.delete(np.arange(_BLOCKS), b) for b in range(_BLOCKS)]
    left_out = np.array([parts(*(item[k].mean(axis=0) for item in blocks)) for k in kept])
    value = _BLOCKS * whole - (_BLOCKS - 1) * left_out.mean(axis=0)
    return value, np.asarray(np.sqrt((_BLOCKS - 1) * left_out.var(axis=0)))
