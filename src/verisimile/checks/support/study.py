"""Support metrics beside the values that a perfect generator would have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from verisimile.checks.support.metrics import NAMES, Balls, evaluate, expected_coverage
from verisimile.checks.support.null import Quarters, matched
from verisimile.core.arrays import Array, as_matrix
from verisimile.core.errors import InputError
from verisimile.core.result import Estimate, register

__all__ = ["Support", "SupportMetric", "support_metrics"]

_PIECES = 10
_FEWEST = 4


@register("support-metric", 1)
@dataclass(frozen=True, slots=True)
class SupportMetric:
    """One metric, and what it is for a perfect generator.

    Attributes
    ----------
    name
        ``precision``, ``recall``, ``density``, ``coverage`` or ``f_beta``.
    full
        All generated against all true events: the number that others quote.
    value
        At the size of the null value: generated events against half of the truth.
    null
        One half of the truth against the other.
    difference
        `value` - `null`, with the error of the difference: both share true events.
    exact
        Expectation of `null` for any continuous law; NaN where it depends on the law, as
        all of them do if true events tie.
    """

    name: str
    full: float
    value: Estimate
    null: Estimate
    difference: Estimate
    exact: float

    def __repr__(self) -> str:
        """Return one line: value and null value."""
        return (
            f"SupportMetric({self.name}: {self.value.value:.4f} ± {self.value.error:.4f}, "
            f"null {self.null.value:.4f} ± {self.null.error:.4f}, full {self.full:.4f})"
        )


@register("support", 1)
@dataclass(frozen=True, slots=True)
class Support:
    r"""Support metrics of a generated sample.

    Attributes
    ----------
    neighbours
        k of the balls.
    beta
        Of :math:`F_\beta`: above one it weighs recall more.
    n_truth, n_generated
        Sizes behind `full`.
    n_matched
        Size of each sample behind `value` and `null`.
    metrics
        One entry per metric.
    """

    neighbours: int
    beta: float
    n_truth: int
    n_generated: int
    n_matched: int
    metrics: tuple[SupportMetric, ...]

    def named(self, name: str) -> SupportMetric:
        """Return one metric.

        Raises
        ------
        InputError
            If there is none of this name.
        """
        for metric in self.metrics:
            if metric.name == name:
                return metric
        raise InputError("support metric", got=repr(name), expected=f"one of {', '.join(NAMES)}")


def support_metrics(
    truth: npt.ArrayLike,
    generated: npt.ArrayLike,
    rng: np.random.Generator,
    *,
    neighbours: int = 5,
    beta: float = 1.0,
) -> Support:
    r"""Return precision, recall, density, coverage and :math:`F_\beta` beside null values.

    The metrics of a perfect generator are not one, and depend on the law, its
    dimension and the number of events: precision is 0.98 in two dimensions and
    0.47 in a thousand.  A number alone says nothing.  Here the truth is divided
    into halves of h events; one half against the other gives the null value,
    generated events against a half the value to compare it with.

    Errors: the same computation in ten disjoint pieces, whose spread is
    scaled by :math:`1/\sqrt{10}`.  Pieces are independent, random halves of the
    same events are not.  Small pieces make the errors of precision and recall
    too large, by half with 400 events in each half.

    Parameters
    ----------
    truth, generated
        Events ``(n, d)`` and ``(m, d)`` without weights, in coordinates where
        distances mean something: scale both with the same numbers.
    rng
        Divides the samples.
    neighbours
        k.
    beta
        Positive.

    Raises
    ------
    InputError
        For unusable samples, or fewer than 16 k events in half of the truth or in
        the generated sample.

    References
    ----------
    As :func:`~verisimile.checks.support.metrics.evaluate`.
    """
    x = as_matrix(truth, "truth")
    y = as_matrix(generated, "generated", columns=x.shape[1])
    quarters = Quarters.of(x, y, rng)
    pieces = _checked(quarters.size, neighbours, beta)
    balls = Balls.of(x, neighbours)
    full = evaluate(balls, Balls.of(y, neighbours), beta=beta)
    values = _rows(matched(quarters, k=neighbours, beta=beta))
    parts = np.array(
        [_rows(matched(quarters.piece(i, pieces), k=neighbours, beta=beta)) for i in range(pieces)]
    )
    errors = parts.std(axis=0, ddof=1) / np.sqrt(pieces)
    exact = {} if balls.tied else _expectations(quarters.size, neighbours)
    metrics = tuple(
        SupportMetric(
            name,
            float(full[j]),
            *_estimates(values[:, j], errors[:, j]),
            exact=exact.get(name, np.nan),
        )
        for j, name in enumerate(NAMES)
    )
    return Support(neighbours, beta, x.shape[0], y.shape[0], quarters.size, metrics)


def _estimates(values: Array, errors: Array) -> tuple[Estimate, Estimate, Estimate]:
    value, null, difference = (
        Estimate(float(v), float(e)) for v, e in zip(values, errors, strict=True)
    )
    return value, null, difference


def _expectations(size: int, k: int) -> dict[str, float]:
    return {"density": 1.0, "coverage": expected_coverage(size, size, k)}


def _rows(pair: Array) -> Array:
    """Return value, null and their difference, ``(3, 5)``."""
    return np.vstack([pair, pair[0] - pair[1]])


def _checked(size: int, k: int, beta: float) -> int:
    if not beta > 0.0:
        raise InputError("beta", got=beta, expected="a positive number")
    if k < 1:
        raise InputError("neighbours", got=k, expected="an integer >= 1")
    pieces = min(_PIECES, size // (4 * k))
    if pieces < _FEWEST:
        raise InputError(
            "support metrics",
            got=f"{size} events in half of the truth or in the generated sample",
            expected=f"at least {4 * _FEWEST * k} for {k} neighbours",
            remedy="Use more events or fewer neighbours.",
        )
    return pieces
