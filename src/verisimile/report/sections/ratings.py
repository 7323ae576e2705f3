"""Answers of people: agreement, forced choices, preferences, ratings on a scale."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from verisimile.checks.ratings.agreement import Agreement
from verisimile.checks.ratings.forced_choice import ForcedChoice
from verisimile.checks.ratings.preference import Preference
from verisimile.checks.ratings.scale import ScaleComparison
from verisimile.report.numbers import (
    count,
    estimate,
    fixed,
    interval,
    percent,
    plain_number,
    value_and_error,
)
from verisimile.report.page import Table
from verisimile.report.section import Section, listing, takes
from verisimile.report.verdict import Finding, decision, measurement


@takes(Agreement)
class Agreements(Section[Agreement]):
    """Agreement of raters beyond chance."""

    title = "Agreement of raters"
    question = "agreement beyond chance"
    caption = (
        "Fleiss' kappa, one for perfect agreement; observed and chance: shares of pairs of "
        "answers on an item that agree, and that would by chance."
    )
    columns: ClassVar = {
        "Kappa": lambda r: value_and_error(r.kappa, r.error),
        "Interval": lambda r: f"{interval(*r.interval)} ({percent(r.level)})",
        "Observed": "observed",
        "Chance": "chance",
        "Items": "n_items",
        "Answers": "n_answers",
        "Dropped": "n_dropped",
    }


@takes(ForcedChoice)
class ForcedChoices(Section[ForcedChoice]):
    """How often generated items are taken for real."""

    title = "Forced choice"
    first = "System"
    caption = (
        "Share of answers that took the generated item for real: one half is a perfect system. "
        "Design effect: variance over that of independent answers."
    )
    columns: ClassVar = {
        "Rate": "rate",
        "Interval": lambda r: f"{interval(*r.interval)} ({percent(r.level)})",
        "p": "p_value",
        "Design effect": "design_effect",
        "Answers": "n_answers",
        "Raters": "n_raters",
        "Items": "n_items",
    }

    def name(self, result: ForcedChoice) -> str:
        """Return the system."""
        return result.system

    def judge(self, name: str, result: ForcedChoice) -> Iterator[Finding]:
        """Yield a verdict against one half."""
        rate = f"Taken for real in {percent(result.rate)} of the answers"
        p, level = result.p_value, self.level
        yield decision(name, "taken for real", p, level, passed=rate, failed=rate)


@takes(Preference)
class Preferences(Section[Preference]):
    """Systems compared two by two."""

    title = "Preference"

    def judge(self, name: str, result: Preference) -> Iterator[Finding]:
        """Yield a verdict on each pair; pairs share the level."""
        level = self.level / len(result.pairs)
        for pair in result.pairs:
            rate = f"{pair.first} preferred to {pair.second} in {percent(pair.rate)} of the answers"
            question = f"{pair.first} or {pair.second}"
            yield decision(name, question, pair.p_value, level, passed=rate, failed=rate)

    def tables(self) -> Iterator[Table]:
        """Yield strengths, then rates of pairs."""
        for result in self.results:
            ends = zip(result.systems, result.strengths, result.low, result.high, strict=True)
            yield Table(
                "Bradley–Terry log-strengths, which add up to zero, with "
                f"{percent(result.level)} intervals.",
                ("System", "Strength", "Interval"),
                tuple(
                    (system, fixed(float(x), places=3), interval(float(low), float(high)))
                    for system, x, low, high in ends
                ),
            )
            yield listing(
                "Pairs that met: rate of the first, wins plus half the ties.",
                ((f"{pair.first}, {pair.second}", pair) for pair in result.pairs),
                {
                    "Rate": "rate",
                    "Interval": "interval",
                    "p": "p_value",
                    "Wins": "wins",
                    "Losses": "losses",
                    "Ties": "ties",
                },
                first="Pair",
            )


@takes(ScaleComparison)
class ScaleComparisons(Section[ScaleComparison]):
    """Ratings of systems on one scale."""

    title = "Ratings on a scale"

    def judge(self, name: str, result: ScaleComparison) -> Iterator[Finding]:
        """Yield a verdict on differences between systems, or the mean of the only one."""
        if result.p_value is None:
            yield measurement(name, "rating", f"Mean {estimate(result.systems[0].mean)}.")
        else:
            yield decision(name, "difference of systems", result.p_value, self.level)

    def tables(self) -> Iterator[Table]:
        """Yield a row for each system."""
        for result in self.results:
            yield Table(
                "Ratings: answers at each level of the scale, mean with its "
                f"{percent(result.level)} interval.",
                ("System", "Mean", "Interval", *map(plain_number, result.levels)),
                tuple(
                    (each.system, estimate(each.mean), interval(*each.interval))
                    + tuple(map(count, each.counts))
                    for each in result.systems
                ),
            )
