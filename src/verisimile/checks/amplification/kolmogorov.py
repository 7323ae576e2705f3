"""Differential amplification by the Kolmogorov–Smirnov distance: a lower limit on G."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from verisimile.checks.amplification.result import Amplification, Interval, check_plan
from verisimile.core.arrays import Array, as_vector
from verisimile.core.errors import require
from verisimile.core.result import Estimate
from verisimile.data.events import Events, match_features
from verisimile.data.inputs import EventsLike
from verisimile.samples.columns import comparable, ks_distance
from verisimile.stats.intervals import ONE_SIGMA

_MEAN_SQUARE = math.pi**2 / 12.0  # of the Kolmogorov distribution
_SQUARE_SPREAD = math.sqrt(0.4)  # sd of its square over the mean: E K^4 = 7 pi^4 / 720
_LIMIT = 0.95
_TIED = 0.01


def kolmogorov(
    generated: npt.ArrayLike,
    holdout: npt.ArrayLike,
    n_train: int,
    *,
    levels: Sequence[float] = (ONE_SIGMA, 0.95),
) -> Amplification:
    r"""Return what a KS distance says about G: hardly more than a lower limit.

    If the generator is as far from the truth as a true sample of n_equiv events,

    .. math:: D \sim \kappa \sqrt{1/n_\mathrm{equiv} + 1/m + 1/n_\mathrm{gen}},
              \qquad \kappa \sim \text{Kolmogorov},

    and inverting this test gives the interval

    .. math:: \frac{1}{n_\mathrm{equiv}} \in \left[\frac{D_c^2}{\kappa^2_{1-\alpha/2}},
              \frac{D_c^2}{\kappa^2_{\alpha/2}}\right] - \frac1m - \frac{1}{n_\mathrm{gen}},

    cut at zero.  Step functions miss part of the distance, of small samples most;
    :math:`D_c = D + 1/(6 \min) + 1/(2 \max)` puts it back, of m and the steps of the
    generator, :math:`1/(1/n_\mathrm{equiv} + 1/n_\mathrm{gen})` of them as in the hypothesis.  One
    number D against one reference resolves almost nothing: with m = n_train 62 % of
    estimates of 1/G are negative for a perfect generator, and 20 % at G = 1.
    ``details["gain_above_95"]`` is the one-sided 95 % lower limit on G.

    Parameters
    ----------
    generated, holdout
        A scalar of each event, ``(n_gen,)`` and ``(m,)``: a feature, or the score of a
        classifier trained on *other* generated and true events than these.
    n_train
        Events that the generator was trained with.
    levels
        Contents of the intervals.

    References
    ----------
    VERaiPHY eqs. 34-37; test inversion and correction: this package.
    """
    first, second = as_vector(generated, "generated"), as_vector(holdout, "holdout")
    for values, name in ((first, "generated"), (second, "holdout")):
        require(values.size > 1, name, got=f"{values.size} values", expected="two or more")
    check_plan(n_train, levels)
    noise = 1.0 / first.size + 1.0 / second.size
    distance = ks_distance(first, second)
    hypothesis = _Hypothesis(distance, first.size, second.size)
    plain = math.sqrt(_MEAN_SQUARE)
    square = (distance + hypothesis.missed(hypothesis.inverse(plain))) ** 2
    value = n_train * (square / _MEAN_SQUARE - noise)
    ceiling = n_train * hypothesis.inverse(_quantile(1.0 - _LIMIT))
    return Amplification(
        measure="kolmogorov",
        resolution=0,
        inverse_gain=Estimate(value, n_train * square / _MEAN_SQUARE * _SQUARE_SPREAD),
        intervals=tuple(
            Interval(
                level,
                hypothesis.inverse(_quantile(0.5 * (1.0 + level))),
                hypothesis.inverse(_quantile(0.5 * (1.0 - level))),
            ).scaled(n_train)
            for level in levels
        ),
        n_train=n_train,
        n_generated=first.size,
        n_holdout=second.size,
        details={
            "distance": distance,
            "floor": math.sqrt(math.pi / 2) * math.log(2) * math.sqrt(noise),
            "gain_above_95": 1.0 / ceiling if ceiling > 0.0 else math.inf,
        },
        warnings=_warnings(second, ceiling),
    )


def kolmogorov_features(
    generated: EventsLike,
    holdout: EventsLike,
    n_train: int,
    *,
    levels: Sequence[float] = (ONE_SIGMA, 0.95),
) -> dict[str, Amplification]:
    """Return :func:`kolmogorov` of each feature, by its name.

    The intervals hold for each feature on its own; correlations between features are
    not looked at.
    """
    holdout, generated = comparable(holdout=holdout, generated=generated)
    refuse_weights(generated=generated, holdout=holdout)
    matched = match_features(generated, holdout.features)
    return {
        name: kolmogorov(matched.column(name), holdout.column(name), n_train, levels=levels)
        for name in holdout.names
    }


def refuse_weights(**samples: Events) -> None:
    """Raise InputError for a sample with weights, naming it."""
    for name, events in samples.items():
        require(
            events.weights is None,
            name,
            got="events with weights",
            expected="events that each count once",
            remedy="Unweight them first: the noise of weighted events is another one.",
        )


@dataclass(frozen=True, slots=True)
class _Hypothesis:
    """What distance is expected at a value of 1/n_equiv."""

    distance: float
    n_generated: int
    n_holdout: int

    def missed(self, inverse: float) -> float:
        """Return what two step functions are short of Brownian bridges."""
        steps = inverse + 1.0 / self.n_generated, 1.0 / self.n_holdout
        return max(steps) / 6.0 + 0.5 * min(steps)

    def inverse(self, quantile: float) -> float:
        """Return the 1/n_equiv, in [0, 1], whose `quantile` is the distance."""

        def excess(inverse: float) -> float:
            noise = inverse + 1.0 / self.n_generated + 1.0 / self.n_holdout
            return quantile * math.sqrt(noise) - self.distance - self.missed(inverse)

        if excess(0.0) >= 0.0 or excess(1.0) <= 0.0:
            return 0.0 if excess(0.0) >= 0.0 else 1.0
        return float(optimize.brentq(excess, 0.0, 1.0, xtol=1e-12))


def _quantile(below: float) -> float:
    return float(special.kolmogi(1.0 - below))


def _warnings(second: Array, ceiling: float) -> tuple[str, ...]:
    found = []
    tied = 1.0 - np.unique(second).size / second.size
    if tied > _TIED:
        found.append(f"{tied:.0%} of the holdout's values are tied: the distance is too small")
    if ceiling <= 0.0:
        found.append(
            "nearer to the holdout than 95 % of perfect generators: chance, or it was trained on it"
        )
    return tuple(found)
