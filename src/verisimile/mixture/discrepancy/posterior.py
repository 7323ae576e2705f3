"""What a discrepancy says: density ratio, errors of it, observables, directions of uncertainty."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from scipy import linalg

from verisimile.core.arrays import Array, digest
from verisimile.core.result import Result, register
from verisimile.mixture.discrepancy.functions import Functions
from verisimile.mixture.discrepancy.settings import Discrepancy
from verisimile.stats.linalg import solve_rounded, symmetrise, whitening

_BLOCK = 8192
_NOTABLE = 2.0  # standard deviations
_RESOLVED = 0.1  # of a test's own noise variance, below which a direction cannot matter to it


@register("discrepancy-record", 1)
@dataclass(frozen=True, slots=True)
class DiscrepancyRecord(Result):
    """How far the discrepancy can be trusted.

    Attributes
    ----------
    n_events, reference
        Effective events that it was learnt from, and events of the mixture for its moments.
    n_functions, effective
        Functions of the basis, and how many of them the events have determined.
    evidence
        Logarithm of the Bayes factor for a discrepancy, at the median scales, against none.
    iterations, gap
        Of the exact fit: see :func:`~verisimile.mixture.tilt_fit.minimise_tilt`.
    smallest_log_ratio, largest_log_ratio
        Of the corrected to the fitted density, at reference events.
    effective_reference
        How many equal events the reference is worth after the correction.
    """

    n_events: float
    reference: int
    n_functions: int
    effective: float
    evidence: float
    iterations: int
    gap: float
    smallest_log_ratio: float
    largest_log_ratio: float
    effective_reference: float


@register("feature-band", 1)
@dataclass(frozen=True, slots=True, eq=False)
class FeatureBand(Result):
    """Contents of bins of one feature, with and without the discrepancy.

    Attributes
    ----------
    feature, unit
        Its name and unit.
    edges
        ``(B + 1,)``; the outermost are where the reference ends.
    plain, plain_errors
        Contents under the fitted weights alone, and the errors that their covariance claims
        ``(B,)``.
    corrected, errors
        The same of the corrected mixture ``(B,)``.
    counted
        Errors of the contents if the events of the fit are counted ``(B,)``.
    """

    feature: str
    unit: str
    edges: Array
    plain: Array
    plain_errors: Array
    corrected: Array
    errors: Array
    counted: Array
    listed: ClassVar[tuple[str, ...]] = (
        "edges",
        "plain",
        "plain_errors",
        "corrected",
        "errors",
        "counted",
    )


class BinShift(NamedTuple):
    """Where the members are off: relative change of a bin's content, and its error."""

    feature: str
    unit: str
    low: float
    high: float
    change: float
    error: float

    def __str__(self) -> str:
        """Return what a reader is told."""
        unit = f" {self.unit}" if self.unit else ""
        size = f"{100 * self.change:+.2g} ± {100 * self.error:.2g} %"
        return f"{self.feature} between {self.low:.4g} and {self.high:.4g}{unit}: {size}"


@register("discrepancy-summary", 1)
@dataclass(frozen=True, slots=True, eq=False)
class DiscrepancySummary(Result):
    """What a discrepancy says to a reader: errors with and without it, and where members are off.

    Attributes
    ----------
    bands
        One per feature.
    record
        Diagnostics.
    """

    bands: tuple[FeatureBand, ...]
    record: DiscrepancyRecord
    listed: ClassVar[tuple[str, ...]] = ("bands.*",)

    @property
    def claimed(self) -> float:
        """Root mean square, over the bins of all features, of the error over the counting error."""
        return _ratio(self.bands, "errors")

    @property
    def claimed_by_weights(self) -> float:
        """The same of the errors that the covariance of the weights claims."""
        return _ratio(self.bands, "plain_errors")

    @property
    def supports(self) -> float:
        """Events of a test sample whose counting error is as large as the claimed ones.

        Below, a test is limited by its own events; beyond, by what the discrepancy knows.
        """
        return self.record.n_events / max(self.claimed**2, np.finfo(np.float64).tiny)

    def notable(self, at_least: float = _NOTABLE) -> list[BinShift]:
        """Return the bins that the discrepancy has moved by more than so many errors, worst first.

        Neighbouring bins of one feature share a deviation: only the worst of a run is named.
        """
        found = [shift for band in self.bands for shift in _peaks(band, at_least)]
        return sorted(found, key=lambda shift: -abs(shift.change / shift.error))


@register("discrepancy-fit", 1)
@dataclass(frozen=True, slots=True, eq=False)
class DiscrepancyFit(DiscrepancySummary):
    """A correction of a mixture's density, with the covariance of everything that is uncertain.

    Attributes
    ----------
    functions
        (s, phi) of an event.
    coefficients, covariance
        Posterior mean and covariance of (eta, b), ``(r + P,)``.
    means, information
        Mean and covariance of (s, phi) under the corrected density, for one event.
    log_norm
        log Z.
    scales
        Median of each group's scale ``(G,)``.
    reference
        Content key of the draws that the fit used.
    settings
        Of the fit: a refit to other events needs them.
    """

    functions: Functions
    coefficients: Array
    covariance: Array
    means: Array
    information: Array
    log_norm: float
    scales: Array
    reference: str
    settings: Discrepancy

    def __repr__(self) -> str:
        """Return one line: events, what they determined, what is claimed."""
        r = self.record
        return (
            f"DiscrepancyFit(n={r.n_events:.0f}, {r.effective:.0f} of {r.n_functions} functions, "
            f"claims {self.claimed:.2f} of the counting error, weights alone "
            f"{self.claimed_by_weights:.2f})"
        )

    @property
    def digest(self) -> str:
        """Content key."""
        own = digest(self.coefficients, self.covariance, self.means, np.array([self.log_norm]))
        return f"{own}{self.functions.digest}"

    @property
    def summary(self) -> DiscrepancySummary:
        """What it says to a reader, without what computes anything."""
        return DiscrepancySummary(self.bands, self.record)

    def log_ratio(self, rows: Array) -> Array:
        r"""Return :math:`\log p/\hat f` ``(n,)`` at events with functions `rows` ``(n, r + P)``."""
        return np.asarray(rows @ self.coefficients - self.log_norm)

    def relative_error(self, rows: Array) -> Array:
        r"""Return :math:`\sigma_p / p` ``(n,)``: the error of the logarithm of the density."""
        half = whitening(self.covariance)
        out = np.empty(len(rows))
        for start in range(0, len(rows), _BLOCK):
            varied = (rows[start : start + _BLOCK] - self.means) @ half
            out[start : start + _BLOCK] = np.sqrt((varied * varied).sum(axis=1))
        return out

    def shares(self, rows: Array) -> Array:
        """Return what each event of the mixture counts under the corrected density, sum one."""
        share = np.exp(self.log_ratio(rows))
        return np.asarray(share / share.sum())

    def moments(self, values: Array, x: Array, rows: Array) -> tuple[Array, Array, Array]:
        r"""Return expectations of `values` ``(n, O)``, their covariance, and that of the draws.

        The events are draws `x` ``(n, d)`` of the uncorrected mixture, with functions `rows`
        ``(n, r + P)``.

        .. math:: O = \langle h \rangle_p, \quad
                  V = G^T \Sigma G + V_\mathrm{draws}, \quad
                  G = \mathrm{Cov}_p((s, \varphi), h)

        In the very draws of the fit, what the functions explain of h has no noise beside that in
        Sigma: their means are those that the events of the fit have.
        """
        share = self.shares(rows)
        expected = share @ values
        weighted = (values - expected) * share[:, None]  # its columns sum to zero
        gradient = rows.T @ weighted
        if digest(x) == self.reference:
            ridge = np.diag(np.diag(self.information) / self.record.n_events)
            slopes = solve_rounded(self.information + ridge, gradient)
            weighted -= (rows @ slopes - (share @ rows) @ slopes) * share[:, None]
        noise = weighted.T @ weighted
        return expected, gradient.T @ self.covariance @ gradient + noise, noise

    def directions(self, events: int) -> Array:
        r"""Return L ``(r + P, k)``: what matters of the uncertainty to a test of `events` events.

        :math:`\Sigma \approx L L^T`, with columns for which
        :math:`n L_k^T I L_k` is not negligible beside the noise of the test, largest first.
        """
        values, vectors = self._rotated()
        kept = events * values > _RESOLVED
        return np.ascontiguousarray(vectors[:, kept])

    def whole(self) -> Array:
        r"""Return L ``(r + P, r + P)`` with :math:`\Sigma = L L^T`, as in :meth:`directions`."""
        return self._rotated()[1]

    def _rotated(self) -> tuple[Array, Array]:
        half = whitening(self.covariance)
        values, vectors = linalg.eigh(symmetrise(half.T @ self.information @ half))
        order = np.argsort(-values)
        rotated = half @ vectors[:, order]
        # The sign of an eigenvector is the library's; the largest entry is made positive.
        signs = np.sign(rotated[np.abs(rotated).argmax(axis=0), np.arange(rotated.shape[1])])
        return values[order], np.asarray(rotated * signs)


def _ratio(bands: tuple[FeatureBand, ...], which: str) -> float:
    squares = np.concatenate([(getattr(b, which) / b.counted) ** 2 for b in bands])
    return math.sqrt(float(squares.mean()))


def _peaks(band: FeatureBand, at_least: float) -> Iterator[BinShift]:
    change = band.corrected / band.plain - 1.0
    error = band.errors / band.plain
    pulls = change / error
    run: list[int] = []
    for k in range(pulls.size + 1):
        notable = k < pulls.size and abs(pulls[k]) > at_least
        if run and not (notable and np.sign(pulls[k]) == np.sign(pulls[run[0]])):
            worst = max(run, key=lambda i: abs(float(pulls[i])))
            ends = float(band.edges[worst]), float(band.edges[worst + 1])
            yield BinShift(
                band.feature, band.unit, *ends, float(change[worst]), float(error[worst])
            )
            run = []
        if notable:
            run.append(k)
