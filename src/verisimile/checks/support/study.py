"""Support metrics beside the values that a perfect generator would have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from verisimile.core.arrays import Array, IntArray, require_positive
from verisimile.core.errors import require, require_at_least
from verisimile.core.result import Estimate, Result, register
from verisimile.data.events import match_features
from verisimile.data.inputs import EventsLike
from verisimile.samples.columns import comparable
from verisimile.samples.neighbours import membership, neighbour_balls

NAMES = ("precision", "recall", "density", "coverage", "f_beta")
_PIECES = 10
_FEWEST = 4


@register("support-metric", 1)
@dataclass(frozen=True, slots=True)
class SupportMetric(Result):
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
        return (
            f"SupportMetric({self.name}: {self.value.value:.4f} ± {self.value.error:.4f}, "
            f"null {self.null.value:.4f} ± {self.null.error:.4f}, full {self.full:.4f})"
        )


@register("support", 1)
@dataclass(frozen=True, slots=True)
class Support(Result):
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
    """

    neighbours: int
    beta: float
    n_truth: int
    n_generated: int
    n_matched: int
    metrics: tuple[SupportMetric, ...]
    listed: ClassVar[tuple[str, ...]] = ("metrics",)

    def named(self, name: str) -> SupportMetric:
        """Return one metric."""
        expected = f"one of {', '.join(NAMES)}"
        require(name in NAMES, "support metric", got=repr(name), expected=expected)
        return next(metric for metric in self.metrics if metric.name == name)


def support_metrics(
    reference: EventsLike,
    generated: EventsLike,
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
    too large, by half with 400 events in each half; 16 k are the fewest.

    Events ``(n, d)`` and ``(m, d)`` are without weights, in coordinates where distances
    mean something: scale both with the same numbers.  `rng` divides them; definitions and
    references are those of :func:`~verisimile.checks.support.study.evaluate`.
    """
    truth, fake = comparable(reference=reference, generated=generated)
    for name, events in (("reference", truth), ("generated", fake)):
        require(
            events.weights is None,
            name,
            got="events with weights",
            expected="events without: neighbours are counted",
            remedy="Draw events in proportion to their weights.",
        )
    x, y = truth.x, match_features(fake, truth.features).x
    quarters = Quarters.of(x, y, rng)
    pieces = _checked(quarters.size, neighbours, beta)
    balls = Balls.of(x, neighbours)
    full = evaluate(balls, Balls.of(y, neighbours), beta=beta)
    values = compare_quarters(quarters, k=neighbours, beta=beta)
    parts = np.array(
        [
            compare_quarters(quarters.piece(i, pieces), k=neighbours, beta=beta)
            for i in range(pieces)
        ]
    )
    errors = parts.std(axis=0, ddof=1) / np.sqrt(pieces)
    covered = expected_coverage(quarters.size, quarters.size, neighbours)
    exact = {} if balls.tied else {"density": 1.0, "coverage": covered}
    metrics = []
    for j, name in enumerate(NAMES):
        value, null, difference = map(Estimate, values[:, j].tolist(), errors[:, j].tolist())
        known = exact.get(name, np.nan)
        metrics.append(SupportMetric(name, float(full[j]), value, null, difference, known))
    return Support(neighbours, beta, len(x), len(y), quarters.size, tuple(metrics))


def _checked(size: int, k: int, beta: float) -> int:
    require_positive(beta, "beta")
    require_at_least(1, k, "neighbours")
    pieces = min(_PIECES, size // (4 * k))
    require(
        pieces >= _FEWEST,
        "support metrics",
        got=f"{size} events in half of the truth or in the generated sample",
        expected=f"at least {4 * _FEWEST * k} for {k} neighbours",
        remedy="Use more events or fewer neighbours.",
    )
    return pieces


@dataclass(frozen=True, slots=True, eq=False)
class Balls:
    """Closed balls around events that reach their k-th neighbour.

    Attributes
    ----------
    x
        Events ``(n, d)``.
    radii
        Squared distances to the k-th neighbours ``(n,)``.
    within
        Other events of the sample in each ball ``(n,)``: k, or more where they tie.
    tied
        Whether more than k are in any ball, so that the law has atoms or a lattice.
    """

    x: Array
    radii: Array
    within: IntArray
    tied: bool

    @classmethod
    def of(cls, x: Array, k: int) -> Balls:
        """Return the balls that reach the k-th neighbour of each event."""
        radii, within = neighbour_balls(x, k)
        return cls(x, radii, within, bool((within > k).any()))


def evaluate(real: Balls, fake: Balls, *, beta: float) -> Array:
    r"""Return precision, recall, density, coverage and :math:`F_\beta`, ``(5,)``.

    With :math:`B_k(x_i)` the closed ball around true event i that reaches its k-th
    true neighbour and holds :math:`k_i \ge k` true events beside it (more than k where
    they tie), and likewise for generated events y,

    .. math::
        P &= \tfrac1m \#\{j : y_j \in \cup_i B_k(x_i)\}, \qquad
        R = \tfrac1n \#\{i : x_i \in \cup_j B_k(y_j)\}, \\
        D &= \tfrac1m \sum_i \#\{j : y_j \in B_k(x_i)\} / k_i, \qquad
        C = \tfrac1n \#\{i : \exists j\; y_j \in B_k(x_i)\}, \\
        F_\beta &= (1 + \beta^2)\, P R / (\beta^2 P + R).

    For continuous laws these are the published numbers.  With open balls a perfect
    generator of a coarse lattice has nothing in any ball, and with k in place of
    :math:`k_i` its density would be far above one.

    References
    ----------
    M. F. Naeem et al., arXiv:2002.09797, eqs. 1 to 4 (for laws without ties);
    T. Kynkäänniemi et al., arXiv:1904.06991, eqs. 1 and 2 (closed balls);
    :math:`F_\beta`: M. S. M. Sajjadi et al., arXiv:1806.00035, sec. 3.
    """
    found = membership(real.x, fake.x, real.radii, fake.radii)
    precision, recall = float(found.fake_in_real.mean()), float(found.real_in_fake.mean())
    density = float((found.counts / real.within).sum() / fake.x.shape[0])
    return np.array([precision, recall, density, found.covered.mean(), _f(precision, recall, beta)])


def expected_coverage(n: int, m: int, k: int) -> float:
    r"""Return the coverage of n true by m generated events of the same continuous law.

    .. math:: E[C] = 1 - \prod_{i=1}^{k} \frac{n - i}{n + m - i}

    in any number of dimensions: event i is not covered if its k nearest among the
    n - 1 other true and the m generated events are all true.  Its limit for
    many events, n = m, is :math:`1 - 2^{-k}`.

    References
    ----------
    M. F. Naeem et al., arXiv:2002.09797, lemma 2.

    Examples
    --------
    >>> round(expected_coverage(10_000, 10_000, 5), 4)
    0.9688
    """
    i = np.arange(1, k + 1)
    return float(1.0 - np.prod((n - i) / (n + m - i)))


def _f(precision: float, recall: float, beta: float) -> float:
    total = beta**2 * precision + recall
    return (1.0 + beta**2) * precision * recall / total if total > 0.0 else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Quarters:
    """Two halves of the truth and two samples of the generator, of h events each.

    The generator's samples are disjoint if it has 2 h events, and overlap otherwise.
    """

    truths: tuple[Array, Array]
    generated: tuple[Array, Array]

    @classmethod
    def of(cls, truth: Array, generated: Array, rng: np.random.Generator) -> Quarters:
        """Return random halves of the truth, and as many generated events for each."""
        size = min(truth.shape[0] // 2, generated.shape[0])
        x, y = rng.permutation(truth), rng.permutation(generated)
        return cls((x[:size], x[size : 2 * size]), (y[:size], y[-size:]))

    @property
    def size(self) -> int:
        """Number of events in each."""
        return int(self.truths[0].shape[0])

    def piece(self, i: int, pieces: int) -> Quarters:
        """Return the i-th of so many disjoint pieces."""
        size = self.size // pieces
        part = slice(i * size, (i + 1) * size)
        first, second = self.truths
        one, other = self.generated
        return Quarters((first[part], second[part]), (one[part], other[part]))


def compare_quarters(quarters: Quarters, *, k: int, beta: float) -> Array:
    """Return the metrics of generated and of true against true events, and by how much they differ.

    Rows of ``(3, 5)``; each is the mean over the two halves of the truth in the role of the truth.
    """
    first, second = (Balls.of(x, k) for x in quarters.truths)
    one, other = (Balls.of(y, k) for y in quarters.generated)
    pairs = [(first, one), (second, other), (first, second), (second, first)]
    found = np.array([evaluate(real, fake, beta=beta) for real, fake in pairs])
    generated, null = found.reshape(2, 2, -1).mean(axis=1)
    return np.array([generated, null, generated - null])
