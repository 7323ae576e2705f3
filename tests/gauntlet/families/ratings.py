"""Answers of people who cannot tell generated from real, or prefer nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

import verisimile as vs
from gauntlet.claims import Claim, Interval, P, p_or_refused
from gauntlet.registry import bench
from human_ratings import choices, preferences, scaled
from verisimile.core.random import Seeds


@dataclass(frozen=True)
class Panel:
    """Raters, items, and how much both scatter."""

    raters: int
    items: int
    spread: float = 0.0

    @property
    def label(self) -> str:
        """All numbers."""
        return f"{self.raters} raters, {self.items} items, spread {self.spread:g}"

    @property
    def ordinary(self) -> bool:
        """Five raters of ten items or more."""
        return self.raters >= 5 and self.items >= 10


PANELS = (Panel(5, 20), Panel(20, 20), Panel(20, 20, 0.7), Panel(10, 60, 0.7), Panel(3, 10))


@bench(
    "Human ratings",
    PANELS,
    covers=(
        "forced_choice",
        "preference",
        "scale_ratings",
        "agreement",
        "ForcedChoice",
        "PairRate",
        "Preference",
        "ScaleComparison",
        "ScaleRating",
        "Agreement",
    ),
    repetitions=400,
)
def answers(setting: Panel, seeds: Seeds) -> Mapping[str, Claim]:
    """Forced choice, preference, a scale, and agreement by chance."""
    sizes, rng = (setting.raters, setting.items), seeds.numpy()
    (chosen,) = vs.ratings.forced_choice(choices(rng, sizes, (0.0, setting.spread), 0.0))
    # Rates are of all raters, each with a taste; flips are exact if nobody has one.
    equal, whole = np.zeros(2), {"raters": setting.raters, "items": setting.items}
    liked = vs.ratings.preference(preferences(rng, equal, taste=setting.spread, **whole))
    indifferent = vs.ratings.preference(preferences(rng, equal, taste=0.0, **whole))
    scale = vs.ratings.scale_ratings(
        vs.Run(seeds),
        scaled(rng, items=setting.items, raters=setting.raters, shift=0.0),
        permutations=99,
    )
    chance = vs.ratings.agreement(choices(rng, sizes, (0.0, 0.0), 0.0))
    return {
        "forced choice: flips": P(chosen.p_value.value),
        "forced choice: rate": Interval(0.5, {0.05: chosen.interval}),
        "preference: flips": P(indifferent.pairs[0].p_value.value),
        "preference: rate": Interval(0.5, {0.05: liked.pairs[0].interval}),
        "preference: strength": Interval(0.0, {0.05: (float(liked.low[0]), float(liked.high[0]))}),
        "scale: permutations": p_or_refused(None if scale.p_value is None else scale.p_value.value),
        "scale: mean": Interval(3.0, {0.05: scale.systems[0].interval}),
        "agreement": Interval(0.0, {0.05: chance.interval}),
    }


@bench(
    "Human ratings, taken for independent",
    (Panel(20, 20, 1.5),),
    repetitions=200,
    defect="answers on one item are counted as independent",
)
def independent_answers(setting: Panel, seeds: Seeds) -> Mapping[str, Claim]:
    """The binomial p-value where items differ."""
    table = choices(seeds.numpy(), (setting.raters, setting.items), (0.0, setting.spread), 0.0)
    (found,) = vs.ratings.forced_choice(table)
    return {"forced choice: flips, binomial": P(found.binomial_p_value.value)}
