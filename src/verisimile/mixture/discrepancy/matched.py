r"""The discrepancy of conditional densities: each event among draws of the mixture at its context.

.. math:: p(x \mid c; \eta, b) = \hat f(x \mid c)\, e^{s\cdot\eta + \varphi\cdot b} / Z(c; \eta, b)

Z is different at each context.  It is not needed for the fit: which of an event and J draws of
:math:`\hat f(\cdot \mid c)` is the event has a probability without it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from verisimile.core.arrays import Array, digest, frozen
from verisimile.core.random import Seeds
from verisimile.core.result import Result, register
from verisimile.mixture.discrepancy.fit import Discrepancy, learn
from verisimile.mixture.discrepancy.functions import Functions
from verisimile.mixture.discrepancy.posterior import DiscrepancyRecord
from verisimile.mixture.tilt_fit import Tilt, TiltPoint

_DRAWS, _FEWEST = 10, 4  # for each event
_BYTES = 2**28  # of the functions at events and draws
_BLOCK = 256  # sets at a time: their rows stay in the cache


@register("conditional-discrepancy-fit", 1)
@dataclass(frozen=True, slots=True, eq=False)
class ConditionalDiscrepancyFit(Result):
    """A correction of a conditional density, with the covariance of everything uncertain.

    Attributes
    ----------
    functions
        (s, phi) of an event, whose columns are the features and then the context.
    coefficients, covariance
        Posterior mean and covariance of (eta, b), ``(r + P,)``.
    scales
        Median of each group's scale ``(G,)``.
    record
        Diagnostics; `reference` are all draws, and `effective_reference` is what these are worth
        after the correction.
    settings
        Of the fit.
    """

    functions: Functions
    coefficients: Array
    covariance: Array
    scales: Array
    record: DiscrepancyRecord
    settings: Discrepancy

    def __repr__(self) -> str:
        """Return one line: events, and what they determined."""
        r = self.record
        return (
            f"ConditionalDiscrepancyFit(n={r.n_events:.0f}, {r.effective:.0f} of "
            f"{r.n_functions} functions)"
        )

    @property
    def digest(self) -> str:
        """Content key."""
        return f"{digest(self.coefficients, self.covariance)}{self.functions.digest}"


@dataclass(frozen=True, slots=True, eq=False)
class MatchedTilt(Tilt):
    r"""The probability that in each set the first row is the event, and the others are draws.

    .. math:: -\sum_n u_n \log \frac{e^{\theta F_{n0}}}{\sum_{j=0}^{J} e^{\theta F_{nj}}}

    It has no bias for any J, as :math:`\log \frac1J \sum_j e^{\theta F_{nj}}` in place of log Z
    has, and the share :math:`J/(J+1)` of the information.

    Attributes
    ----------
    reference
        Rows of all sets ``(n (J + 1), P)``, one set after the other.
    shares
        What each set counts ``(n,)``, sum one.

    References
    ----------
    N. E. Breslow et al., Am. J. Epidemiol. 108 (1978) 299 (matched case-control studies).
    """

    shares: Array

    def at(self, theta: Array) -> TiltPoint:
        """Return value and gradient at `theta` ``(P,)``: one pass over the sets."""
        logits = (self.reference @ theta).reshape(self.shares.size, -1)
        log_mean = logsumexp(logits, axis=1) - np.log(logits.shape[1])
        logits -= log_mean[:, None]
        pull = theta - self.centre
        mean = self._weights(logits).ravel() @ self.reference
        value = self.events * float(self.shares @ log_mean) - float(self.total @ theta)
        gradient = self.precision * pull - self.total + self.events * mean
        return TiltPoint(
            theta=theta,
            value=value + 0.5 * float(self.precision @ (pull * pull)),
            gradient=gradient[self.free],
            logits=logits.ravel(),
        )

    def hessian(self, point: TiltPoint) -> Array:
        """Return the Hessian at a point, along the free parameters."""
        covariance = self.covariance(point.logits)[self.free, self.free]
        return self.events * covariance + np.diag(self.precision[self.free])

    def covariance(self, logits: Array) -> Array:
        """Return the mean covariance within sets ``(P, P)``, at logits of all rows."""
        n, p = self.shares.size, self.reference.shape[1]
        weights = self._weights(logits.reshape(n, -1))
        size = weights.shape[1]
        gram = np.zeros((p, p))
        for start in range(0, n, _BLOCK):
            part = weights[start : start + _BLOCK]
            rows = self.reference[start * size : (start + len(part)) * size]
            scaled = rows * np.sqrt(part).reshape(-1, 1)
            gram += scaled.T @ scaled
            means = np.einsum("ns,nsp->np", part, rows.reshape(len(part), size, p))
            means /= np.sqrt(part.sum(axis=1))[:, None]
            gram -= means.T @ means
        return gram

    def _weights(self, logits: Array) -> Array:
        return np.asarray(np.exp(logits) * (self.shares / logits.shape[1])[:, None])


def draws_each(events: int, functions: int) -> int:
    """Return J, the draws of the mixture for each of so many events."""
    wanted = _BYTES // (8 * events * functions) - 1
    return int(min(max(wanted, _FEWEST), _DRAWS))


def fit_matched(
    functions: Functions,
    seen: Array,
    drawn: Array,
    weights: Array | None,
    settings: Discrepancy,
    seeds: Seeds,
) -> ConditionalDiscrepancyFit:
    """Return the discrepancy of conditional densities.

    Parameters
    ----------
    functions
        (s, phi).
    seen
        Functions of the events ``(n, r + P)``.
    drawn
        Functions of J draws of the mixture at each event's context ``(n, J, r + P)``.
    weights
        Of the events ``(n,)``.
    settings, seeds
        Random streams ``"scales"``.

    Raises
    ------
    NumericsError
        If the exact fit has no certified optimum.
    """
    n, size = seen.shape
    u = np.ones(n) if weights is None else weights
    events = float(u.sum() ** 2 / (u @ u))
    rows = np.concatenate([seen[:, None, :], drawn], axis=1)
    # Only differences within a set count: centred, they are not lost in rounding.
    rows -= rows.mean(axis=1, keepdims=True)
    shares = u / u.sum()
    none = np.zeros(size)
    total = events * (shares @ rows[:, 0])
    problem = MatchedTilt(rows.reshape(-1, size), total, events, none, none, slice(0, size), shares)
    origin = problem.covariance(np.zeros(len(problem.reference)))
    found = learn(problem, origin, MatchedTilt.covariance, functions, settings, seeds)
    theta = found.posterior.mean
    logits = problem.at(theta).logits.reshape(n, -1)[:, 1:]
    share = np.exp(logits) * shares[:, None]
    share /= share.sum()
    record = DiscrepancyRecord(
        n_events=events,
        reference=share.size,
        n_functions=functions.basis.groups.size,
        effective=found.posterior.effective,
        evidence=found.posterior.evidence(found.about, functions.groups),
        iterations=found.optimum.iterations,
        gap=found.optimum.gap,
        smallest_log_ratio=float(logits.min()),
        largest_log_ratio=float(logits.max()),
        effective_reference=float(1.0 / (share * share).sum()),
    )
    return ConditionalDiscrepancyFit(
        functions=functions,
        coefficients=frozen(theta),
        covariance=frozen(found.posterior.covariance),
        scales=frozen(np.median(found.posterior.scales, axis=0)),
        record=record,
        settings=settings,
    )
