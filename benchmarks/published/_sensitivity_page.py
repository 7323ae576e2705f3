"""The page of the sensitivities: tables, sentences and figures, all from the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from published.registry import Compared, Json, between, comparison, percent, shown, table
from verisimile.report import style
from verisimile.stats.intervals import clopper_pearson

DIMENSIONS = (5, 20, 100)
EFFECTS: Mapping[str, str] = {
    "shift": "of one feature, in its standard deviations",
    "width": "of one feature, relative",
    "correlation": "all pairs times (1 − ε)², standard deviations kept",
    "tail": "share of events whose deviation from the mean of one feature is threefold",
    "bump": "share of events in an interval of 0.05 standard deviations of one feature",
    "missing mode": "share of all events that leave the smallest mode for the others",
}
# Of arXiv:2409.16336, 5-dimensional mixture of 3 Gaussians, n = m = 10^4: ε at 95 %.
PUBLISHED: Mapping[str, Mapping[str, float]] = {
    "mean": {
        "sliced-wasserstein": 0.0919,
        "mean-ks": 0.0050,
        "sliced-ks": 0.0549,
        "frechet": 0.1035,
        "kernel-distance": 0.0643,
    },
    "correlation": {
        "sliced-wasserstein": 0.059,
        "mean-ks": 1.0,
        "sliced-ks": 0.057,
        "frechet": 0.0244,
        "kernel-distance": 0.049,
    },
}
PUBLISHED_EVENTS, PUBLISHED_PAIRS = 10_000, 10
_EQUAL = 1.0 + 1e-9
_RATIO = 0.0008  # what the likelihood ratio of both known densities sees of a moved centre
_DEFORMED = {"mean": "features moved by U(−ε, ε)", "correlation": "correlations times (1 − ε)²"}


def words(numbers: Json) -> str:
    """Return the page below its head."""
    grids = "\n\n".join(f"### {d} dimensions\n\n{_grid(numbers, d)}" for d in DIMENSIONS)
    return f"""
Three Gaussians with centres U(−5, 5), scales U(0, 1) and weights U(0, 1) over their sum (drawn
again while the smallest is below 0.1), one mixture for each dimension; {numbers["n"]} events in
each sample.  A statistic sees an effect where it exceeds the
{percent(1.0 - numbers["level"], 0)} quantile of its law for equal samples, of {numbers["pools"]}
pools × {numbers["relabelings"]} relabelings.  Nothing is permuted for a pair: one evaluation each.

## The smallest effect

Seen with a power of {percent(numbers["power"], 0)} at a level of {percent(numbers["level"], 0)}
by the statistic that is best at it, with its 95 % interval:

{_bests(numbers)}

![Smallest effects of all statistics](figures/sensitivity-effects.png)

The mean over {numbers["pairs"]} pairs less 1.64 of their standard deviations crosses the critical
value there; between neighbours of a grid of strengths (factor 1.45) linearly in their logarithm.
Pairs are the same at all strengths.  Intervals are those of such a difference of normal values
(noncentral t), with the error of the critical value.  ">" was not seen up to the largest strength,
"≤" is seen at the least of the grid, and "…" is beyond the largest.

{_checked(numbers)}

Mixtures of this kind flatter what looks at single features: among so many scales U(0, 1) some are
narrow, and whatever moves a narrow mode by a fraction of the whole spread moves it by many of its
own widths.  The narrowest mode of the first feature has a width of {_narrow(numbers)}, in
standard deviations of the feature.  The deformation of correlations is a linear map and moves modes
too, so that marginals see it.

{grids}

What this size cannot say: a factor between statistics whose intervals overlap; the same for
other mixtures, since each dimension has one; the classifier test, which trains for every pair
and has no row here.  MMD and NPLM combine several widths by their smallest p-value in the battery;
here by the width that is furthest out in standard deviations of the null.  Energy and MMD use
random waves, as the battery does for many events.

## Beside the published numbers

Grossi, Letizia and Torre state the ε at which the *mean* statistic of {PUBLISHED_PAIRS} pairs is
the 95 % quantile of equal samples: there about one pair in two is seen, not 95 %.  With this
criterion, {numbers["theirs"]} pairs, n = {PUBLISHED_EVENTS} and the events as they are, not
standardised, in {len(_of_mixtures(numbers, "mean", "frechet"))} random mixtures of 5 dimensions
(median, and range over mixtures):

{comparison(_compared(numbers))}

The mean KS distance of features is published as blind to correlations (ε = 1).  In a mixture, under
this map, it is not; of one Gaussian it is.  So these published numbers are nearer to one correlated
Gaussian, which the publication treats as well, than to the mixture that they were noted for.

![Published numbers and ours, over mixtures](figures/sensitivity-published.png)

How much one mixture decides, for a moved centre:

{_scales(numbers)}

The likelihood ratio of both known densities is published to see ε = {_RATIO:g}, which no statistic
without the densities comes near; it is not repeated here.  A component of weight w and scale s
gives it a separation of (ε/2) √(n w) / s, about 2 at its limit: s near 0.01 for w = 1/3.
{_sitting(numbers)}"""


def _sitting(numbers: Json) -> str:
    return "\nThe run was resumed; the minutes below are of its last part.\n" * numbers["resumed"]


def takeaway(numbers: Json) -> str:
    """Return the one sentence of the table of studies."""
    said = []
    for effect in ("shift", "bump"):
        found = [(_best(numbers, d, effect), _problem(numbers, d, effect)) for d in DIMENSIONS]
        # Of a cell its value alone: the limits of the grid of strengths belong to it.
        sizes = ", ".join(
            "none" if best is None else _cell(best[1], problem).partition(" (")[0]
            for best, problem in found
        )
        said.append(f"{effect} of {sizes}")
    spread = max(_factor(_of_mixtures(numbers, "mean", name)) for name in PUBLISHED["mean"])
    return (
        f"Seen with {percent(numbers['power'], 0)} in {', '.join(map(str, DIMENSIONS))} dimensions "
        f"by the best statistic, n = {numbers['n']}: {'; '.join(said)}.  Over random mixtures "
        f"numbers of the published kind vary by a factor of up to {shown(spread, 2)}"
    )


def _cell(found: Json, problem: Json) -> str:
    if found["value"] is None:
        return f"> {shown(problem['most'], 2)}"
    if found["value"] <= problem["least"] * _EQUAL:
        return f"≤ {shown(problem['least'], 2)}"
    high = "…" if found["high"] is None else shown(found["high"], 2)
    return f"{shown(found['value'], 2)} ({shown(found['low'], 2)} to {high})"


def _grid(numbers: Json, d: int) -> str:
    problems = {each["effect"]: each for each in numbers["smallest"] if each["d"] == d}
    names = list(next(iter(problems.values()))["of"])
    rows = [
        (name, *(_cell(each["of"][name], each) for each in problems.values())) for name in names
    ]
    return table(("statistic", *problems), rows)


def _problem(numbers: Json, d: int, effect: str) -> Json:
    found: Json = next(p for p in numbers["smallest"] if (p["d"], p["effect"]) == (d, effect))
    return found


def _best(numbers: Json, d: int, effect: str) -> tuple[str, Json] | None:
    of: Mapping[str, Json] = _problem(numbers, d, effect)["of"]
    seen = {name: each for name, each in of.items() if each["value"] is not None}
    if not seen:
        return None
    name = min(seen, key=lambda each: float(seen[each]["value"]))
    return name, seen[name]


def _bests(numbers: Json) -> str:
    rows = []
    for effect, unit in EFFECTS.items():
        cells = []
        for d in DIMENSIONS:
            best = _best(numbers, d, effect)
            cell = "" if best is None else _cell(best[1], _problem(numbers, d, effect))
            if cell.startswith("≤"):  # so do others: the grid does not tell them apart
                at = [each["value"] for each in _problem(numbers, d, effect)["of"].values()]
                count = at.count(min(filter(None, at)))
                cells.append(f"{cell}, {best[0] if best and count == 1 else f'{count} statistics'}")
                continue
            cells.append("none" if best is None else f"{cell}, {best[0]}")
        rows.append((f"{effect}: {unit}", *cells))
    return table(("effect", *(f"{d} dimensions" for d in DIMENSIONS)), rows)


def _of_mixtures(numbers: Json, effect: str, name: str, *, single: bool = False) -> list[float]:
    """Return the effects over mixtures, infinite where none was seen."""
    found = [
        each["of"][name]["value"]
        for each in numbers["published"]
        if (each["effect"], each["single"]) == (effect, single)
    ]
    return [float("inf") if value is None else value for value in found]


def _factor(values: Sequence[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return max(finite) / min(finite) if finite else 1.0


def _why(effect: str, name: str, published: float, values: Sequence[float], single: bool) -> str:  # noqa: FBT001
    finite = [value for value in values if np.isfinite(value)]
    if finite and min(finite) <= published <= max(values):
        return "agrees"
    way = "below" if not finite or published < min(finite) else "above"
    said = (
        "The published law is one draw of a generator that is not repeated here; "
        f"it lies {way} our {len(values)}, which range over a factor of {_factor(values):.1f}"
    )
    if (effect, name) == ("mean", "mean-ks"):
        return (
            f"{said}: narrow scales decide (table below), and theirs is near 0.01, if their "
            f"likelihood ratio sees ε = {_RATIO:g}."
        )
    if effect == "correlation" and not single:
        return (
            "The linear map moves modes, which marginals and slices see; one Gaussian of the same "
            "covariance (rows below) has no modes to move."
        )
    if not finite:
        return "Not seen up to ε = 1, where no correlation is left: marginals stay as they are."
    beyond = published / max(finite) if way == "above" else min(finite) / published
    return f"{said}, by a factor of {beyond:.1f}; correlations differ from draw to draw."


def _compared(numbers: Json) -> Iterator[Compared]:
    cases = [(effect, False) for effect in PUBLISHED] + [("correlation", True)]
    for effect, single in cases:
        for name, published in PUBLISHED[effect].items():
            values = _of_mixtures(numbers, effect, name, single=single)
            finite = [value for value in values if np.isfinite(value)]
            here = f"seen in {len(finite)} of {len(values)} draws"
            if len(finite) == len(values):
                ends = between(min(values), max(values), 2)
                here = f"{shown(float(np.median(values)), 2)} ({ends})"
            elif finite:
                here += f", from {shown(min(finite), 2)} on"
            law = "one Gaussian" if single else "mixture"
            yield Compared(
                f"{name}, {_DEFORMED[effect]}, {law}",
                f"{published:g}",
                here,
                _why(effect, name, published, values, single),
            )


def _scales(numbers: Json) -> str:
    rows = sorted(
        (each["scale"], *(each["of"][name]["value"] for name in ("mean-ks", "sliced-wasserstein")))
        for each in numbers["published"]
        if each["effect"] == "mean"
    )
    return table(
        ("smallest of the 15 scales", "mean-ks sees ε", "sliced-wasserstein sees ε"),
        [tuple("none" if cell is None else shown(cell, 2) for cell in row) for row in rows],
    )


def _narrow(numbers: Json) -> str:
    sizes = (f"{shown(width, 2)} in {d}" for d, width in numbers["narrowest"].items())
    return f"{', '.join(sizes)} dimensions"


def _checked(numbers: Json) -> str:
    again = numbers["again"]
    pairs, seen = again["pairs"], again["seen"]
    worst = min(seen, key=lambda name: int(seen[name]))
    low, high = clopper_pearson(seen[worst], pairs, level=0.95)
    average = percent(sum(seen.values()) / pairs / len(seen), 0)
    least, ends = percent(seen[worst] / pairs, 0), f"{percent(low, 0)} to {percent(high, 0)}"
    return (
        f"A check of the method: at the smallest {again['effect']} that each of {len(seen)} "
        f"statistics sees in {again['d']} dimensions, {pairs} fresh pairs were drawn.  On average "
        f"{average} were seen, and by {worst}, the worst, {least} (95 % interval {ends}); "
        f"{percent(numbers['power'], 0)} were meant, and the effects have errors of their own."
    )


def paint_effects(numbers: Json, figure: Figure) -> None:
    """Draw a table of all effects for each dimension, the best statistics dark."""
    figure.set_size_inches(10.5, 4.6)
    panels = figure.subplots(1, len(DIMENSIONS), sharey=True)
    for axes, d in zip(panels, DIMENSIONS, strict=True):
        _paint_dimension(axes, [each for each in numbers["smallest"] if each["d"] == d])
        axes.set_title(f"{d} dimensions", fontsize=9)
    panels[0].set_ylabel("statistic")


def _paint_dimension(axes: Axes, problems: Sequence[Json]) -> None:
    names = list(problems[0]["of"])
    for place, each in enumerate(problems):
        values = [each["of"][name]["value"] for name in names]
        least = min((value for value in values if value is not None), default=1.0)
        for row, value in enumerate(values):
            worse = 1.0 if value is None else min(1.0, float(np.log10(value / least)))
            corner = (place - 0.5, row - 0.5)
            shade = 0.9 - 0.85 * worse
            axes.add_patch(Rectangle(corner, 1.0, 1.0, fc=style.REFERENCE, ec="white", alpha=shade))
            text = f"> {each['most']:.2g}" if value is None else f"{value:.2g}"
            text = f"≤ {text}" if value is not None and value <= each["least"] * _EQUAL else text
            ink = "white" if shade > 0.6 else style.DATA
            axes.text(place, row, text, ha="center", va="center", fontsize=6.5, color=ink)
    axes.set_xlim(-0.5, len(problems) - 0.5)
    axes.set_ylim(len(names) - 0.5, -0.5)
    titles = [each["effect"] for each in problems]
    axes.set_xticks(range(len(titles)), titles, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(labelsize=7, length=0)
    axes.grid(visible=False)


def paint_published(numbers: Json, figure: Figure) -> None:
    """Draw the published numbers and ours, a point for each mixture."""
    panels = figure.subplots(1, len(PUBLISHED), sharey=True)
    for axes, (effect, stated) in zip(panels, PUBLISHED.items(), strict=True):
        for row, (name, published) in enumerate(stated.items()):
            values = [each for each in _of_mixtures(numbers, effect, name) if np.isfinite(each)]
            axes.plot(values, [row] * len(values), "o", color=style.REFERENCE, alpha=0.6, ms=5)
            if effect == "correlation":
                ones = _of_mixtures(numbers, effect, name, single=True)
                at = [each for each in ones if np.isfinite(each)]
                axes.plot(at, [row + 0.2] * len(at), "s", color=style.MUTED, alpha=0.7, ms=5)
            axes.plot(published, row, "x", color=style.ALTERNATIVE, ms=8, mew=2)
        axes.set_xscale("log")
        axes.set_yticks(range(len(stated)), list(stated))
        axes.set_ylim(len(stated) - 0.5, -0.5)
        axes.set_xlabel(f"smallest ε: {'centre moved' if effect == 'mean' else effect}")
    panels[0].plot([], [], "o", color=style.REFERENCE, label="mixtures")
    panels[0].plot([], [], "s", color=style.MUTED, label="one Gaussian")
    panels[0].plot([], [], "x", color=style.ALTERNATIVE, mew=2, label="published")
    style.legend_above(panels[0], 3)
