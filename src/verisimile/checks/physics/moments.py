"""Mean, standard deviation, skewness and kurtosis of both samples, with their errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from verisimile.core.arrays import Array, IntArray, frozen
from verisimile.core.result import Result, register
from verisimile.data.feature import Feature
from verisimile.data.inputs import EventsLike
from verisimile.samples.columns import comparable
from verisimile.samples.coordinates import circular_events
from verisimile.samples.weighted import EqualLaws, InfluenceSpread, match_columns, shares, spread_of

MOMENTS = ("mean", "standard deviation", "skewness", "excess kurtosis")

_ROUNDING = 1e-12


@register("moment-comparison", 1)
@dataclass(frozen=True, slots=True, eq=False)
class MomentComparison(Result):
    """Four moments of one feature, in the order of `MOMENTS`.

    Attributes
    ----------
    reference, reference_error
        Values and errors in the reference ``(4,)``; NaN where a moment does not exist.
    generated, generated_error
        The same for the generated sample ``(4,)``.
    difference, error
        Generated minus reference, and its error if both have one law ``(4,)``.
    z
        Difference over error, or Rao's score if it is smaller ``(4,)``.
    carriers
        Effective number of events that the error rests on ``(4,)``.
    p_values
        Two-sided p-values of z ``(4,)``, not corrected for their number; NaN
        where fewer than five events carry the error.
    """

    feature: Feature
    reference: Array
    reference_error: Array
    generated: Array
    generated_error: Array
    difference: Array
    error: Array
    z: Array
    carriers: Array
    p_values: Array
    listed: ClassVar[tuple[str, ...]] = (
        "reference",
        "reference_error",
        "generated",
        "generated_error",
        "difference",
        "error",
        "z",
        "p_values",
    )

    def __repr__(self) -> str:
        each = ", ".join(
            f"{name.split()[-1]} {z:+.1f}" for name, z in zip(MOMENTS, self.z, strict=True)
        )
        return f"MomentComparison({self.feature.name}, z: {each})"


def moments(reference: EventsLike, generated: EventsLike) -> tuple[MomentComparison, ...]:
    """Compare four moments of every feature, with weights of any sign and groups of rows.

    p-values are of :class:`~verisimile.samples.weighted.EqualLaws`; the errors of each
    sample's moments are its own.  A periodic feature has no mean: its cosine and sine about the
    mean direction of both samples are compared instead, as ``phi (cos)`` and ``phi (sin)``.
    Samples are independent, and features are matched by name.
    """
    reference, generated = comparable(reference=reference, generated=generated)
    reference, other = circular_events((reference, match_columns(reference, generated)))
    pair = EqualLaws((reference, other))
    return tuple(_comparison(feature, pair) for feature in reference.features)


def weighted_moments(
    column: Array, v: Array, group: IntArray | None = None
) -> tuple[Array, InfluenceSpread]:
    r"""Return the four moments ``(4,)`` and their spread.

    With :math:`t = (x - \mu)/\sigma` and shares :math:`v_i`, the error of each is
    :math:`\sqrt{\sum_i v_i^2 \psi_i^2}` with the influence functions

    .. math:: \psi_\mu = \sigma t, \quad \psi_\sigma = \sigma (t^2 - 1)/2, \quad
              \psi_\gamma = t^3 - \gamma - 3t - \tfrac32 \gamma (t^2 - 1), \quad
              \psi_\kappa = t^4 - k - 4 \gamma t - 2 k (t^2 - 1), \; k = \kappa + 3.

    Moments are those of the sample itself, without n - 1.  NaN beyond the mean if the
    variance is negative, which signed weights can do, and beyond the deviation if zero.
    Of values ``(n,)``, their shares of sum one, and which rows belong together.
    """
    values, influence = _values(column, v)
    return values, spread_of(v, influence, group)


def _values(column: Array, v: Array) -> tuple[Array, Array]:
    """Return the moments ``(4,)`` and their influence functions ``(4, n)``."""
    start = float(column[0])  # so that equal values have no variance, not even by rounding
    shifted = column - start
    mean = float(v @ shifted)
    apart = shifted - mean
    variance = float(v @ apart**2)
    size = float(np.abs(shifted).max())
    none = np.full_like(apart, np.nan)
    if abs(variance) <= (_ROUNDING * size) ** 2:
        return _four(start + mean, 0.0), np.array([apart, 0.0 * apart, none, none])
    if variance < 0.0:
        return _four(start + mean), np.array([apart, none, none, none])
    sigma = float(np.sqrt(variance))
    t = apart / sigma
    square = t * t  # powers by multiplication: pow is ten times slower
    cube, quartic = square * t, square * square
    skewness, fourth = float(v @ cube), float(v @ quartic)
    influence = np.array(
        [
            apart,
            0.5 * sigma * (square - 1.0),
            cube - skewness - 3.0 * t - 1.5 * skewness * (square - 1.0),
            quartic - fourth - 4.0 * skewness * t - 2.0 * fourth * (square - 1.0),
        ]
    )
    return _four(start + mean, sigma, skewness, fourth - 3.0), influence


def _four(*known: float) -> Array:
    return np.array([*known, *[np.nan] * (4 - len(known))])


def _comparison(feature: Feature, pair: EqualLaws) -> MomentComparison:
    columns = [one.column(feature.name) for one in pair.samples]
    (first, own), (second, theirs) = (
        weighted_moments(column, shares(one), one.group)
        for column, one in zip(columns, pair.samples, strict=True)
    )
    difference = second - first
    common = _values(np.concatenate(columns), pair.pool)[1]
    found = pair.score(
        difference,
        np.array([common[0], *_own_units(columns, (first, second), pair.pool)]),
        common,
        scale=np.array([abs(first[0]), abs(first[0]), 1.0, 1.0]),
    )
    return MomentComparison(
        feature=feature,
        reference=frozen(first),
        reference_error=frozen(own.error),
        generated=frozen(second),
        generated_error=frozen(theirs.error),
        difference=frozen(difference),
        error=frozen(found.error),
        z=frozen(found.z),
        carriers=frozen(found.carriers),
        p_values=frozen(found.p_values),
    )


def _own_units(columns: Sequence[Array], values: Sequence[Array], pool: Array) -> Array:
    """Return influence functions ``(3, n)`` at the pooled events, but not that of the mean.

    Each sample has been shifted to its own mean for that of the standard deviation, and
    brought to its own deviation for those of skewness and kurtosis: another mean must not
    pass for another shape.
    """
    centred = [column - one[0] for column, one in zip(columns, values, strict=True)]
    scales = [one[1] if one[1] > 0.0 else np.nan for one in values]
    shapes = [apart / scale for apart, scale in zip(centred, scales, strict=True)]
    of_centred, of_shapes = (_values(np.concatenate(x), pool)[1] for x in (centred, shapes))
    return np.concatenate([of_centred[1:2], of_shapes[2:]])
