"""`Suite`: which nulls, defects, strengths and sizes; and the hidden pairs that they make."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from verisimile.core.arrays import Array
from verisimile.core.canonical import JSON, canonical
from verisimile.core.errors import require, require_one_of
from verisimile.core.random import Seeds
from verisimile.ranking.defects import DEFECTS, SPARE, Defect
from verisimile.ranking.laws import COUNTS, MIXTURE, ZMUMU, Law

_FEWEST_NULLS = 39  # below, no score can reach 5 % in both directions
_FEWEST_EVENTS = 20

Pair = tuple[Array, Array]
"""A reference and a generated sample."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One showing of one pair: what a metric is asked, and never told.

    Attributes
    ----------
    law, n
        Place of the law, and events of each sample.
    number
        Of the pair among those of its cell.
    defect, grade
        Places of the defect and of its strength; -1 for a null pair.
    view
        ``"plain"``; a null pair shown otherwise: ``"again"`` (the same bytes), ``"shuffled"``
        (rows in another order), ``"swapped"``, ``"sorted"`` (one of the samples, by the ranks of
        its columns), ``"itself"`` (the reference against its own rows in another order).
    """

    law: int
    n: int
    number: int
    defect: int = -1
    grade: int = -1
    view: str = "plain"


VIEWS = ("again", "shuffled", "swapped", "sorted", "itself")
"""Ways to show a null pair once more."""


@dataclass(frozen=True, slots=True)
class Suite:
    """What metrics are asked.

    Attributes
    ----------
    laws
        Distributions of the null pairs, into which defects are planted.
    defects
        What is wrong with the other pairs.
    sizes
        Events of each sample, ascending.
    nulls
        Null pairs of each law and size: they measure the size, and calibrate scores.
    pairs
        Pairs of each law, defect, strength and size; a defect of one law alone has as many as
        one of all laws.
    audits
        Null pairs of each law, of the smallest size, that are shown again in other ways.
    level
        Significance level.

    Examples
    --------
    >>> suite = Suite()
    >>> len(suite.laws), len(suite.defects), suite.sizes
    (3, 12, (100, 250, 600))
    >>> len(suite.showings())
    1443
    """

    laws: tuple[Law, ...] = (MIXTURE, ZMUMU, COUNTS)
    defects: tuple[Defect, ...] = DEFECTS
    sizes: tuple[int, ...] = (100, 250, 600)
    nulls: int = 39
    pairs: int = 3
    audits: int = 8
    level: float = 0.05

    def __post_init__(self) -> None:
        require(
            self.nulls >= _FEWEST_NULLS,
            "Suite.nulls",
            got=self.nulls,
            expected=f"at least {_FEWEST_NULLS}: fewer cannot calibrate a score at 5 %",
        )
        require(
            bool(self.sizes)
            and list(self.sizes) == sorted(set(self.sizes))
            and self.sizes[0] >= _FEWEST_EVENTS,
            "Suite.sizes",
            got=self.sizes,
            expected=f"different sizes of at least {_FEWEST_EVENTS} events, ascending",
        )
        require(
            self.pairs >= 1 and 1 <= self.audits <= self.nulls,
            "Suite.pairs, Suite.audits",
            got=f"{self.pairs}, {self.audits}",
            expected="at least one, and audits of null pairs that there are",
        )
        require(0.0 < self.level < 0.5, "Suite.level", got=self.level, expected="in (0, 0.5)")
        for kind, each in (("laws", self.laws), ("defects", self.defects)):
            names = [one.name for one in each]
            require(
                bool(names) and len(set(names)) == len(names),
                f"Suite.{kind}",
                got=names,
                expected="at least one, with different names",
            )
        for defect in self.defects:
            for law in defect.laws:
                require_one_of(law, [one.name for one in self.laws], f"laws of {defect.name!r}")

    @classmethod
    def quick(cls) -> Suite:
        """Return a suite of seconds: two sizes, and one pair of each law and cell."""
        return cls(sizes=(60, 120), pairs=1, audits=4)

    def only(self, *laws: str) -> Suite:
        """Return the suite with some of its laws, and the defects that can be planted there."""
        for law in laws:
            require_one_of(law, [one.name for one in self.laws], "laws")
        kept = tuple(law for law in self.laws if law.name in laws)
        defects = tuple(d for d in self.defects if not d.laws or set(d.laws) & set(laws))
        return replace(self, laws=kept, defects=defects)

    def with_law(self, law: Law, *defects: Defect) -> Suite:
        """Return the suite with one more law, such as real events, and defects for it."""
        return replace(self, laws=(*self.laws, law), defects=(*self.defects, *defects))

    def identity(self) -> JSON:
        """Return all of it as JSON, for fingerprints."""
        return {
            "laws": [law.identity() for law in self.laws],
            "defects": [defect.identity() for defect in self.defects],
            "sizes": list(self.sizes),
            "counts": [self.nulls, self.pairs, self.audits],
        }

    @property
    def digest(self) -> str:
        """A sha256 of the laws, defects and numbers."""
        return hashlib.sha256(canonical(self.identity(), "suite").encode()).hexdigest()

    def showings(self) -> list[Shown]:
        """Return all showings, by kind; :func:`presented` hides the kinds."""
        laws = range(len(self.laws))
        found = [Shown(law, n, k) for law in laws for n in self.sizes for k in range(self.nulls)]
        found += [
            Shown(law, self.sizes[0], k, view=view)
            for law in laws
            for k in range(self.audits)
            for view in VIEWS
        ]
        for place, defect in enumerate(self.defects):
            own = [k for k in laws if not defect.laws or self.laws[k].name in defect.laws]
            several = -(-self.pairs * len(self.laws) // len(own))
            found += [
                Shown(law, n, k, place, grade)
                for law in own
                for n in self.sizes
                for grade in range(len(defect.strengths))
                for k in range(several)
            ]
        return found

    def check(self, seeds: Seeds) -> None:
        """Make one of the largest pairs of each law and defect: before hours of work, not after.

        Raises
        ------
        InputError
            If a law has too few events, or a defect makes another number of them.
        """
        for shown in self.showings():
            if shown.n == self.sizes[-1] and shown.number == 0 and shown.view == "plain":
                self.made(shown, seeds)

    def made(self, shown: Shown, seeds: Seeds) -> Pair:
        """Return both samples of a showing, rows in random order.

        The same pair has the same random stream in each view.  Numbers are those that single
        precision has, so that no digit tells a planted event from one of a file.
        """
        law = self.laws[shown.law]
        at = seeds.at("pair", law.name, shown.n, shown.number)
        if shown.defect >= 0:
            at = at.at(self.defects[shown.defect].name, shown.grade)
        rng = at.at("events").numpy()
        x = law.draw((1 + SPARE) * shown.n, rng)
        require(
            len(x) == (1 + SPARE) * shown.n,
            f"law {law.name!r}",
            got=f"{len(x)} events",
            expected=f"{(1 + SPARE) * shown.n} for samples of {shown.n}",
            remedy="Take a larger file, or smaller sizes.",
        )
        reference, pool = x[: shown.n], x[shown.n :]
        generated = pool[: shown.n]
        if shown.defect >= 0:
            defect = self.defects[shown.defect]
            generated = defect.planted(reference, pool, law, shown.grade, rng)
        # The order has a stream of its own, so that it cannot know what was planted.
        order = at.at("order").numpy()
        pair = (_single(order.permutation(reference)), _single(order.permutation(generated)))
        return _viewed(pair, shown, at.at("view").numpy())


def _viewed(pair: Pair, shown: Shown, rng: np.random.Generator) -> Pair:
    """Return the pair as it is shown."""
    reference, generated = pair
    if shown.view == "shuffled":
        return rng.permutation(reference), rng.permutation(generated)
    if shown.view == "swapped":
        return generated, reference
    if shown.view == "itself":
        return reference, rng.permutation(reference)
    if shown.view == "sorted":
        return (
            (_sorted(reference), generated) if shown.number % 2 else (reference, _sorted(generated))
        )
    return pair


def _sorted(x: Array) -> Array:
    """Return the rows as a scan may leave them: in the order of their mean rank in all columns."""
    ranks = np.argsort(np.argsort(x, axis=0, kind="stable"), axis=0, kind="stable")
    return x[np.argsort(ranks.sum(axis=1), kind="stable")]


def _single(x: Array) -> Array:
    return np.ascontiguousarray(x.astype(np.float32).astype(np.float64))


def presented(suite: Suite, seeds: Seeds, sizes: tuple[int, ...]) -> list[Shown]:
    """Return the showings of these sizes in the hidden order in which metrics get them."""
    everything = suite.showings()
    order = seeds.at("presentation").numpy().permutation(len(everything))
    return [everything[k] for k in order if everything[k].n in sizes]
