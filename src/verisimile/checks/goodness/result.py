"""The outcome of a goodness-of-fit test."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from verisimile.checks.goodness.profile import Profile
from verisimile.checks.goodness.setup import Setup
from verisimile.core.arrays import Array, as_matrix
from verisimile.core.errors import InputError
from verisimile.core.result import register
from verisimile.mixture.sampling import member_log_densities
from verisimile.stats.pvalues import PValue, Significance

__all__ = ["FittedRatio", "Goodness"]


@dataclass(frozen=True, slots=True, eq=False)
class FittedRatio:
    """The two fitted densities of one test sample, to be evaluated anywhere."""

    setup: Setup
    profile: Profile

    def __call__(self, x: Array) -> Array:
        r"""Return :math:`p_1(x) / p_0(x)`, ``(n,)``; NaN where the null density is not positive."""
        null, alternative = self.relative(x)
        out = np.full(null.size, np.nan)
        np.divide(alternative, null, out=out, where=null > 0.0)
        return out

    def relative(self, x: Array) -> tuple[Array, Array]:
        r"""Return :math:`p_0/\hat f` and :math:`p_1/\hat f` at events ``(n, d)``."""
        events = as_matrix(x, "x", columns=self.setup.members[0].n_features)
        rows = self.setup.rows(events, member_log_densities(self.setup.members, events))
        rank = self.setup.basis.variations.shape[1]
        varied, kernels = rows.design[:, :rank], rows.design[:, rank:]
        null = rows.base + varied @ self.profile.null
        alternative = rows.base + varied @ self.profile.alternative
        alternative = alternative + kernels @ self.profile.amplitudes
        base = np.where(rows.base > 0.0, rows.base, np.nan)
        return null / base, alternative / base


@register("goodness", 1)
@dataclass(frozen=True, slots=True, eq=False)
class Goodness:
    r"""Result of the profile likelihood-ratio test on one data set.

    Attributes
    ----------
    statistic
        :math:`t = 2(\ell_1 - \ell_0) \ge 0`.
    p_value, z
        Toy p-value and one-sided significance, with Monte-Carlo intervals.
    toys
        Statistics of the null toys ``(B,)``; NaN marks a failed toy.
    hypothesis, null
        What was left free in the null fit, and how the toys were made.
    n_events, n_members
        Size of the test sample, and of the mixture.
    n_kernels, kernel_rank, widths
        Kernels of the alternative, their independent directions, and the
        narrowest, median and widest width in normal scores.
    variations
        r, independent variations of the weights.
    gap
        Certified bound on the numerical error of `statistic`.
    capped
        Events so far outside the model that `statistic` is a lower bound.
    null_pulls, alternative_pulls
        Fitted variations in units of their uncertainty ``(r,)``.
    coefficients
        Fitted kernel coefficients ``(K,)``: the mass moved into each kernel.
    events_digest
        Content key of the test sample.
    warnings
        What a reader must know, such as events shared with the training sample.
    """

    statistic: float
    p_value: PValue
    z: Significance
    toys: Array
    hypothesis: str
    null: str
    n_events: int
    n_members: int
    n_kernels: int
    kernel_rank: int
    widths: tuple[float, float, float]
    variations: int
    gap: float
    capped: int
    null_pulls: Array
    alternative_pulls: Array
    coefficients: Array
    events_digest: str
    warnings: tuple[str, ...] = ()
    fitted: FittedRatio | None = field(default=None, metadata={"transient": True})

    def __repr__(self) -> str:
        """Return one line: hypothesis, statistic, p-value."""
        return (
            f"Goodness({self.hypothesis}, t={self.statistic:.2f}, "
            f"p={self.p_value.value:.4g}, {self.z!r}, {self.toys.size} {self.null} toys)"
        )

    @property
    def n_failed(self) -> int:
        """Toys without a finite statistic; each counts as extreme."""
        return self.p_value.n_failed

    def ratio(self, x: Array) -> Array:
        """Return the fitted density ratio :math:`p_1/p_0` at events ``(n, d)``, shape ``(n,)``.

        Raises
        ------
        InputError
            If the result was loaded from disk: the fitted densities stay with
            the mixture.
        """
        if self.fitted is None:
            raise InputError(
                "Goodness.ratio",
                got="a result read back from a file",
                expected="a result of goodness_of_fit in this process",
                remedy="Call goodness_of_fit again with the same run: the toys are reused.",
            )
        return self.fitted(x)
