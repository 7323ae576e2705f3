r"""When a cell is inside, outside or refused.

With k misses in n pseudo-experiments of nominal miss probability alpha, a right claim has

.. math:: P(\mathrm{Bin}(n, \alpha) \ge k) \le 0.05 / N

in one of N such numbers with probability 5 % at most (Bonferroni): a smaller one is a cell
outside.  The test is one-sided, because discrete p-values may reject too seldom.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import stats

from gauntlet.claims import LEVELS
from gauntlet.registry import Cell
from verisimile.stats.intervals import clopper_pearson

ERROR = 0.05
"""Probability that the whole grid has a cell outside though all is right."""

_HIDDEN = 0.05  # share of refused pseudo-experiments that an ordinary setting may have


@dataclass(frozen=True)
class Count:
    """Misses among the claims at one level."""

    level: float
    misses: int
    claims: int

    @property
    def rate(self) -> float:
        """Share of misses."""
        return self.misses / self.claims

    @property
    def interval(self) -> tuple[float, float]:
        """Exact 95 % interval on the probability of a miss."""
        return clopper_pearson(self.misses, self.claims, level=0.95)

    @property
    def p(self) -> float:
        """Probability of so many misses, or more, if the level is right."""
        return float(stats.binom.sf(self.misses - 1, self.claims, self.level))

    @property
    def conservative(self) -> bool:
        """Whether misses are fewer than the level says, beyond doubt."""
        return self.interval[1] < self.level


@dataclass
class Tally:
    """All pseudo-experiments of one subject in one cell, and what its twin did."""

    experiments: int = 0
    claims: tuple[int, ...] = (0, 0)
    misses: tuple[int, ...] = (0, 0)
    twin_misses: tuple[int, ...] = (0, 0)
    refused: int = 0
    reasons: Mapping[str, int] | None = None

    def counts(self, *, twin: bool = False) -> list[Count]:
        """Return the misses at each level at which there are claims."""
        rows = zip(LEVELS, self.twin_misses if twin else self.misses, self.claims, strict=True)
        return [Count(*row) for row in rows if row[2]]


State = str
"""``inside``, ``outside``, ``refused``, ``hidden`` (refused in an ordinary case), ``broken``."""


@dataclass(frozen=True)
class Judged:
    """The verdict on one subject in one cell."""

    cell: Cell
    subject: str
    tally: Tally
    state: State
    twin_found: bool
    seconds: float

    @property
    def defective(self) -> bool:
        """Whether this is a bench that is wrong on purpose."""
        return bool(self.cell.bench.defect)

    @property
    def reason(self) -> str:
        """The most frequent reason of its refusals."""
        reasons = self.tally.reasons or {}
        return max(reasons, key=lambda word: reasons[word]) if reasons else ""


def threshold(tallies: Sequence[Tally]) -> float:
    """Return the p-value below which a cell is outside, of the genuine subjects' tallies."""
    return ERROR / max(1, sum(len(tally.counts()) for tally in tallies))


def judged(cell: Cell, subject: str, tally: Tally, limit: float, seconds: float) -> Judged:
    """Return the verdict, given the smallest allowed p-value."""
    counts = tally.counts()
    if any(count.p < limit for count in counts):
        state = "outside"
    elif cell.setting.ordinary and _hidden(cell, subject, tally) > _HIDDEN * tally.experiments:
        state = "hidden"
    elif not counts or 2 * tally.refused > tally.experiments:
        state = "refused"
    else:
        state = "inside"
    twin = any(count.p < limit for count in tally.counts(twin=True))
    return Judged(cell, subject, tally, state, twin, seconds)


def _hidden(cell: Cell, subject: str, tally: Tally) -> int:
    """Return the refusals that nothing excuses."""
    reasons = tally.reasons or {}
    return sum(n for word, n in reasons.items() if cell.bench.excused(subject, word) is None)
