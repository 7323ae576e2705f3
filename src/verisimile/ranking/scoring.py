"""From answers to standings: calibration by null pairs, size, power, and what speaks against it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.core.arrays import Array
from verisimile.ranking.metrics import Metric
from verisimile.ranking.result import Found, ShownAgain, Standing
from verisimile.ranking.suite import VIEWS, Shown, Suite
from verisimile.stats.intervals import clopper_pearson

_ROUNDING = 1e-12  # of the answers: sums in another order, another on each processor
_ACCUSE = 0.99
"""Level of the intervals that accuse a metric: at 95 % two of forty honest ones would be."""

_SAME = 1e-9  # relative: sums of the same numbers in another order differ by rounding


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """All answers of one metric, by what was shown."""

    metric: Metric
    suite: Suite
    values: dict[Shown, float]
    failures: tuple[str, ...]

    def null(self, law: int, n: int) -> Array:
        """Return the answers to the null pairs of a law and size, NaN where there is none."""
        return np.array([self.values[Shown(law, n, k)] for k in range(self.suite.nulls)])


def standing(sheet: Sheet, common: Sequence[int]) -> Standing:
    """Return what the answers say about a metric, `common` being the sizes of all metrics."""
    metric, suite = sheet.metric, sheet.suite
    sizes = metric.sizes(suite.sizes)
    null_hits = _null_hits(sheet, sizes) if metric.returns == "p-value" else None
    held = null_hits is None or _held(null_hits, suite)
    calibrated = null_hits is None or not held
    called = _Caller(sheet, calibrated=calibrated)
    hits, pairs = _counted(sheet, sizes, called)
    places = [k for k, n in enumerate(sizes) if n in common]
    audit = _audit(sheet, called)
    size = None
    if null_hits is not None:
        size = Found.of(sum(map(sum, null_hits)), suite.nulls * len(suite.laws) * len(sizes))
    failures = dict(sorted(Counter(sheet.failures).items()))
    return Standing(
        metric=metric.name,
        by=metric.by,
        returns=metric.returns,
        direction="small" if metric.returns == "p-value" else metric.direction,
        sizes=sizes,
        size=size,
        held=held,
        calibrated=calibrated,
        null_hits=null_hits or ((0,) * len(sizes),) * len(suite.laws),
        defects=tuple(defect.name for defect in suite.defects),
        strengths=tuple(defect.strengths for defect in suite.defects),
        hits=hits,
        pairs=pairs,
        power=Found.of(_total(hits, places), _total(pairs, places)),
        audit=audit,
        failures=failures,
        order=_low(audit.ordered.hits, audit.ordered.pairs, _ACCUSE) > suite.level,
        marks=tuple(_marks(size, held, audit, failures, suite, len(sheet.values))),
    )


def _total(counts: Sequence[Sequence[Sequence[int]]], places: Sequence[int]) -> int:
    return sum(grade[k] for defect in counts for grade in defect for k in places)


def _null_hits(sheet: Sheet, sizes: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Return the null pairs that were called different; no answer counts as one."""
    level = sheet.suite.level

    def hits(law: int, n: int) -> int:
        p = sheet.null(law, n)
        return int(np.count_nonzero(np.isnan(p) | (p <= level)))

    return tuple(tuple(hits(law, n) for n in sizes) for law in range(len(sheet.suite.laws)))


def _held(null_hits: Sequence[Sequence[int]], suite: Suite) -> bool:
    """Return whether no interval, of all null pairs or of one law, lies above the level."""
    laws = [(sum(row), suite.nulls * len(row)) for row in null_hits]
    whole = (sum(hits for hits, _ in laws), sum(pairs for _, pairs in laws))
    share = 1.0 - (1.0 - _ACCUSE) / len(laws)
    return _low(*whole, _ACCUSE) <= suite.level and all(
        _low(*law, share) <= suite.level for law in laws
    )


def _low(hits: int, pairs: int, level: float) -> float:
    return clopper_pearson(hits, pairs, level=level)[0]


class _Caller:
    """Says which pairs a metric calls different."""

    def __init__(self, sheet: Sheet, *, calibrated: bool) -> None:
        self.sheet, self.calibrated = sheet, calibrated
        self._nulls: dict[tuple[int, int], Array] = {}

    def __call__(self, shown: Shown) -> bool:
        value = self.sheet.values[shown]
        if math.isnan(value):
            return False
        if not self.calibrated:
            return value <= self.sheet.suite.level
        key = (shown.law, shown.n)
        if key not in self._nulls:
            self._nulls[key] = self.sheet.null(*key)
        p = calibrated_p(value, self._nulls[key], self._direction)
        return p <= self.sheet.suite.level + 1e-12

    @property
    def _direction(self) -> str:
        metric = self.sheet.metric
        return "small" if metric.returns == "p-value" else metric.direction


def calibrated_p(value: float, null: Array, direction: str) -> float:
    r"""Return the p-value of a score among those of null pairs.

    .. math:: p = \frac{1 + \#\{i : t_i \ge t\}}{m + 1}

    for large scores, with :math:`\le` for small ones, and twice the smaller of the two for either.
    A null pair without an answer counts in both.
    """
    none = int(np.count_nonzero(np.isnan(null)))
    above = (1 + none + int(np.count_nonzero(null >= value))) / (null.size + 1)
    below = (1 + none + int(np.count_nonzero(null <= value))) / (null.size + 1)
    if direction == "large":
        return above
    return below if direction == "small" else min(1.0, 2.0 * min(above, below))


_Counts = tuple[tuple[tuple[int, ...], ...], ...]


def _counted(sheet: Sheet, sizes: Sequence[int], called: _Caller) -> tuple[_Counts, _Counts]:
    """Return the pairs called different, and all pairs, by defect, strength and size."""
    tally: Counter[tuple[int, int, int, bool]] = Counter(
        (shown.defect, shown.grade, shown.n, called(shown))
        for shown in sheet.values
        if shown.defect >= 0
    )

    def table(*answers: bool) -> _Counts:
        return tuple(
            tuple(
                tuple(sum(tally[d, g, n, one] for one in answers) for n in sizes)
                for g in range(len(defect.strengths))
            )
            for d, defect in enumerate(sheet.suite.defects)
        )

    return table(True), table(True, False)  # noqa: FBT003  (what was answered)


def _audit(sheet: Sheet, called: _Caller) -> ShownAgain:
    """Compare the answers to null pairs that were shown in several ways."""
    suite = sheet.suite
    n = suite.sizes[0]
    bases = [Shown(law, n, k) for law in range(len(suite.laws)) for k in range(suite.audits)]
    shown = {view: [Shown(base.law, n, base.number, view=view) for base in bases] for view in VIEWS}

    def changed(view: str) -> int:
        pairs = zip(bases, shown[view], strict=True)
        return sum(not _equal(sheet.values[a], sheet.values[b]) for a, b in pairs)

    return ShownAgain(
        pairs=len(bases),
        again=changed("again"),
        shuffled=changed("shuffled"),
        swapped=changed("swapped"),
        moved=_moved(sheet, bases, shown["shuffled"]),
        ordered=Found.of(sum(map(called, shown["sorted"])), len(bases)),
        itself=Found.of(sum(map(called, shown["itself"])), len(bases)),
    )


def _equal(first: float, second: float) -> bool:
    if math.isnan(first) or math.isnan(second):
        return math.isnan(first) and math.isnan(second)
    return first == second or math.isclose(first, second, rel_tol=_SAME, abs_tol=1e-14)


def _moved(sheet: Sheet, bases: Sequence[Shown], again: Sequence[Shown]) -> float:
    """Return the median change by another order, over that from one null pair to another."""
    changes, spreads = [], []
    for law in range(len(sheet.suite.laws)):
        own = [k for k, base in enumerate(bases) if base.law == law]
        first = np.array([sheet.values[bases[k]] for k in own])
        second = np.array([sheet.values[again[k]] for k in own])
        spread = (
            float(np.nanmedian(np.abs(first[:, None] - first)[np.triu_indices(len(own), 1)]))
            if np.isfinite(first).sum() > 1
            else 0.0
        )
        changes += list(np.abs(second - first)[np.isfinite(first) & np.isfinite(second)])
        spreads.append(spread)
    scale = float(np.mean(spreads))
    moved = float(np.median(changes)) / scale if changes and scale > 0.0 else 0.0
    return moved if moved > _ROUNDING else 0.0


def _marks(
    size: Found | None,
    held: bool,  # noqa: FBT001  (a result)
    audit: ShownAgain,
    failures: dict[str, int],
    suite: Suite,
    answers: int,
) -> Iterator[str]:
    """Yield what speaks against a metric, each with its numbers."""
    percent = f"{100.0 * suite.level:g} %"
    if size is not None and not held:
        yield (
            f"does not hold its size: {size.hits} of {size.pairs} null pairs are called different "
            f"at {percent}; its power is at its own null quantile"
        )
    if size is not None and clopper_pearson(size.hits, size.pairs, level=_ACCUSE)[1] < suite.level:
        yield (
            f"is conservative: {size.hits} of {size.pairs} null pairs are called different at "
            f"{percent}"
        )
    if audit.again:
        yield (
            f"is not deterministic: {audit.again} of {audit.pairs} pairs have another answer when "
            "they are shown again"
        )
    if _low(audit.ordered.hits, audit.ordered.pairs, _ACCUSE) > suite.level:
        yield (
            f"looks at the order of rows: {audit.ordered.hits} of {audit.ordered.pairs} null pairs "
            "are called different when a sample is sorted"
        )
    if failures:
        words = ", ".join(f"{kind} {count}" for kind, count in failures.items())
        yield f"gave no answer to {sum(failures.values())} of {answers} pairs: {words}"
