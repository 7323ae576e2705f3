"""Feature by feature against a distribution function that is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, require
from verisimile.core.result import Result, register
from verisimile.data.events import Events
from verisimile.data.feature import require_columns
from verisimile.data.inputs import EventsLike, as_events
from verisimile.stats.pvalues import PValue

Cdf = Callable[[Array], npt.ArrayLike]
"""Returns the probability of values up to each of ``(n,)``."""

StatisticName = Literal["ks", "cvm"]

_TERMS, _SURE_KUIPER, _SURE_WATSON = 100, 0.4, 0.005
_TITLES = {"ks": "Kolmogorov-Smirnov", "cvm": "Cramer-von Mises"}


@register("one-sample", 1)
@dataclass(frozen=True, slots=True)
class OneSample(Result):
    """One feature of a sample against a known distribution function.

    Attributes
    ----------
    statistic
        ``Kolmogorov-Smirnov`` or ``Cramer-von Mises``, of a periodic feature ``Kuiper`` or
        ``Watson``.
    p_value
        From the statistic's law: exact for the first, to order 1/n for the second; the
        limiting laws with Stephens' corrections for n on a circle.
    at
        Value where the two distribution functions are farthest apart; on a circle the end of
        the arc with the largest excess.
    excess
        Share of events below `at` minus its probability, the larger of both limits there; on a
        circle the excess of that arc.
    """

    feature: str
    statistic: str
    observed: float
    p_value: PValue
    at: float
    excess: float
    n: int
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return (
            f"OneSample({self.feature}: {self.statistic}={self.observed:.4g}, "
            f"p={self.p_value.value:.4g}, n={self.n})"
        )


def one_sample_tests(
    events: EventsLike,
    cdfs: Mapping[str, Cdf],
    *,
    statistics: Sequence[StatisticName] = ("ks", "cvm"),
) -> tuple[OneSample, ...]:
    r"""Test features against distribution functions that were known before the sample was.

    With :math:`u_i = F(x_i)`, uniform under the null,

    .. math:: D = \sup_u |F_n(u) - u|, \qquad
              n\omega^2 = \frac{1}{12 n} + \sum_i \Big(u_{(i)} - \frac{2i - 1}{2n}\Big)^2 .

    Of a periodic feature, whose distribution function starts at an arbitrary cut, Kuiper's
    :math:`V = D^+ + D^-` and Watson's :math:`U^2 = n\omega^2 - n (\bar u - \tfrac12)^2`: where
    the cut lies moves neither.

    Parameters
    ----------
    events
        The sample, without weights.
    cdfs
        Distribution function by feature.  Nothing in them may have been fitted to this
        sample: p-values would be far too large.
    statistics
        ``ks``, ``cvm`` or both, of each feature in this order.

    References
    ----------
    R. Simard, P. L'Ecuyer, J. Stat. Softw. 39 (2011) 11 (exact D); S. Csorgo, J. J. Faraway,
    J. R. Stat. Soc. B 58 (1996) 221 (omega squared); M. A. Stephens, J. R. Stat. Soc. B 32 (1970)
    115 (V and U squared at finite n).

    Examples
    --------
    >>> sample = Events(np.random.default_rng(2).normal(size=(200, 1)), names=("x",))
    >>> one_sample_tests(sample, {"x": stats.norm.cdf}, statistics=["ks"])
    (OneSample(x: Kolmogorov-Smirnov=0.03128, p=0.9863, n=200),)
    """
    events = as_events(events, "events")
    _check(events, cdfs, statistics)
    around = {feature.name for feature in events.features if feature.kind == "periodic"}
    return tuple(
        _tested(name, np.sort(events.column(name)), cdf, word, around=name in around)
        for name, cdf in cdfs.items()
        for word in statistics
    )


def _tested(name: str, x: Array, cdf: Cdf, word: StatisticName, *, around: bool) -> OneSample:
    u = _probabilities(name, x, cdf)
    title, observed, p, at, excess = (_of_angle if around else _of_line)(u, word)
    return OneSample(
        feature=name,
        statistic=title,
        observed=observed,
        p_value=PValue.exact(p),
        at=float(x[at]),
        excess=excess,
        n=x.size,
        warnings=_warnings(x),
    )


def _of_line(u: Array, word: StatisticName) -> tuple[str, float, float, int, float]:
    """Return the statistic's title, value, p-value; where the largest excess is, and its size."""
    n = u.size
    above, below = np.arange(1, n + 1) / n - u, np.arange(n) / n - u
    apart = np.where(above > -below, above, below)
    at = int(np.argmax(np.abs(apart)))
    excess = float(apart[at])
    if word == "ks":
        return _TITLES[word], abs(excess), float(stats.kstwo.sf(abs(excess), n)), at, excess
    found = stats.cramervonmises(u, "uniform")
    return _TITLES[word], float(found.statistic), float(found.pvalue), at, excess


def _of_angle(u: Array, word: StatisticName) -> tuple[str, float, float, int, float]:
    n = u.size
    above, below = np.arange(1, n + 1) / n - u, u - np.arange(n) / n
    at, kuiper = int(np.argmax(above)), float(above.max() + below.max())
    if word == "ks":
        p = _kuiper_sf(kuiper * (math.sqrt(n) + 0.155 + 0.24 / math.sqrt(n)))
        return "Kuiper", kuiper, p, at, kuiper
    apart = u - (np.arange(n) + 0.5) / n
    watson = float(((apart - apart.mean()) ** 2).sum() + 1.0 / (12.0 * n))
    p = _watson_sf((watson - 0.1 / n + 0.1 / n**2) * (1.0 + 0.8 / n))
    return "Watson", watson, p, at, kuiper


def _kuiper_sf(value: float) -> float:
    """Return the limiting survival function of Kuiper's statistic."""
    if value < _SURE_KUIPER:
        return 1.0
    squares = (np.arange(1, _TERMS + 1) * value) ** 2
    return _positive(float((2.0 * (4.0 * squares - 1.0) * np.exp(-2.0 * squares)).sum()))


def _watson_sf(value: float) -> float:
    """Return the limiting survival function of Watson's statistic."""
    if value < _SURE_WATSON:
        return 1.0
    j = np.arange(1, _TERMS + 1)
    terms = (-1.0) ** (j - 1) * np.exp(-2.0 * np.pi**2 * j**2 * value)
    return _positive(2.0 * float(terms.sum()))


def _positive(p: float) -> float:
    return min(1.0, max(p, float(np.finfo(np.float64).tiny)))


def _probabilities(name: str, x: Array, cdf: Cdf) -> Array:
    u = np.asarray(cdf(x), dtype=np.float64)
    where = f"cdfs[{name!r}]"
    expected = f"shape {x.shape}"
    require(u.shape == x.shape, where, got=f"values of shape {u.shape}", expected=expected)
    bad = ~((u >= 0.0) & (u <= 1.0))
    if bad.any() or (np.diff(u) < 0.0).any():
        raise InputError(
            where,
            got=f"{int(bad.sum())} of {u.size} values outside [0, 1] or NaN"
            if bad.any()
            else "values that fall where x rises",
            expected="a distribution function: probabilities that grow with x",
            remedy="Is it a density? Pass its integral.",
        )
    # At an atom D and omega squared are as large as the atom, whatever the sample.
    jump = float((u - np.asarray(cdf(np.nextafter(x, -np.inf)), dtype=np.float64)).max())
    require(
        not jump > 0.5 / x.size,
        where,
        got=f"a function that jumps by {jump:.3g} at an event",
        expected="a continuous distribution function",
        remedy="For a discrete law draw a large sample of it and use a two-sample test.",
    )
    return u


def _warnings(x: Array) -> tuple[str, ...]:
    repeated = int((np.diff(x) == 0.0).sum())
    if not repeated:
        return ()
    return (
        f"{repeated} events repeat the value of another: these tests are for continuous laws,"
        " and copies of events are not independent.",
    )


def _check(events: Events, cdfs: Mapping[str, Cdf], statistics: Sequence[str]) -> None:
    require_columns(list(cdfs), events.names, "cdfs")
    require(cdfs, "cdfs", got="nothing", expected="one feature or more")
    unknown = [word for word in statistics if word not in _TITLES]
    known = f"one or more of {list(_TITLES)}"
    fine = statistics and not unknown
    require(fine, "statistics", got=f"{unknown or 'nothing'}", expected=known)
    require(
        events.weights is None,
        "events.weights",
        got="weights",
        expected="none: the laws of these statistics hold for independent, equal events",
        remedy="Draw a large sample of the known law and use a two-sample test with weights.",
    )
    require(events.n >= 2, "events", got="one event", expected="two or more")
