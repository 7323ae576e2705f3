"""The published coverage of the first moments, given the members and with members made anew."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from published._coverage_work import DATASETS, GAUSSIAN_TRAINING, MEANS, measure
from published.registry import Compared, Json, Study, comparison, percent, table
from verisimile.checks.coverage.result import INTERVAL_LEVEL
from verisimile.core.arrays import Array
from verisimile.report import style
from verisimile.stats.intervals import ONE_SIGMA, clopper_pearson, wilson

PUBLISHED = {"mean x0": 0.613, "mean x1": 0.687}
"""G. Badaracco et al., app. A and fig. 3; 284 data sets."""
_TERMS = {
    "weights": "weights only",
    "left out": "+ each member left out",
    "resampled": "+ resampled",
}
_CODE = "the authors' code (github.com/gbadarac/MonoJet_NPLM_analysis, coverage_check_2d)"


class Cell(NamedTuple):
    """A study of coverage, what it is called, and what has been tried in it."""

    title: str
    found: Json


def words(numbers: Json) -> str:
    """Return the page."""
    sizes = numbers["sizes"]
    flows, again = sizes["flows"], sizes["retrained"]
    last = str(sizes["events"][-1])
    return f"""## Beside the publication

In every data set the weights are fitted to fresh events, and the interval Ô ± σ of a feature's
mean covers if it holds the true one: nominal {percent(ONE_SIGMA, 2)}.  Intervals on rates are
Clopper and Pearson's at {percent(INTERVAL_LEVEL, 0)}.

{comparison(_compared(numbers))}

With {DATASETS} data sets the published rates themselves have the intervals
{_published_intervals()}: {_published_verdict()}.

## Given members

The members stay, the weights are fitted anew, as in {_CODE}.  *In the span*: the truth is one of
the members, and the others are narrower and shifted.  *Flows*: {flows["members"]} spline flows
on bootstrap replicas of {flows["training"]} events, for data sets of several sizes. *Honest*:
what all flows miss is fitted anew too, and in the errors ([Honest bands](../honest-bands.md)).

{_cells([*_given(numbers), _honest(numbers)])}

In the span means and widths of the pulls are at most {_worst(numbers["in span"]):.1f} of their
errors from 0 and 1.  Estimates with flows scatter as claimed too (the widths), but about another
value: what all flows miss alike is a bias, the same in every data set.  The more events, the
smaller the claimed error and the more the bias counts.  **Coverage of 68 % at one size is
therefore no property of an ensemble**: the same flows have
{_rates(numbers["flows"][str(sizes["events"][0])])} at {sizes["events"][0]} events, and
{_rates(numbers["flows"][last])} at {last}.  A rate near the nominal one says that the bias is
small against the error at *that* size, in *that* observable.  Honest errors are right on average
over trainings and observables; of one observable and one training they may cover more or less
than 68 %.

## Members made anew

Members *and* weights are made in every data set, which is what a user of the procedure meets.
{again["members"]} flows on {again["training"]} events, weights on as many others:

{_cells(_anew(numbers))}

Gaussians fitted to bootstrap replicas of {GAUSSIAN_TRAINING} events; their training fluctuates
in four directions, and fewer members cannot undo that.  Mean of the two features,
{sizes["gaussian_datasets"]} data sets each:

{_gaussians(numbers)}

## Figures

![Rates of all cells with their intervals](figures/gaussian-coverage-rates.png)

![Pulls](figures/gaussian-coverage-pulls.png)

## What the reduced size cannot say

What {flows["members"]} small flows on {flows["training"]} events miss is not what 60 large ones
on 100 000 miss, and one ensemble has one bias: another training would have another.  With
{sizes["retrained_datasets"]} data sets of flows made anew a rate is known to about ±
{percent(_half_width(numbers["retrained"]["weights"]), 0)}.  The published factor of two, 200 000
generated events, is not in the intervals: they are those of the mixture, not of a sample of it
(the study of oversampling has both).  `ARGS="gaussian-coverage --size full"` takes the published
sizes and network, and the grid of Gaussians of [Coverage](../coverage.md); it has not been run.
"""


def takeaway(numbers: Json) -> str:
    """Return what came out, in one sentence."""
    last = str(numbers["sizes"]["events"][-1])
    return (
        f"Truth in the span {_rates(numbers['in span'])}; flows as members at {last} events "
        f"{_rates(numbers['flows'][last])}, with what all of them miss in the errors "
        f"{_rates(numbers['honest'])}."
    )


def _compared(numbers: Json) -> Iterator[Compared]:
    last = str(numbers["sizes"]["events"][-1])
    for name, value in PUBLISHED.items():
        spanned, flows = _item(numbers["in span"], name), _item(numbers["flows"][last], name)
        bias = flows["bias"] / flows["mean_error"]
        yield Compared(
            f"coverage of {name}, truth in the span",
            f"{percent(value)} (app. A)",
            _rate(spanned),
            "agrees"
            if _alike(spanned, _published_counts()[name])
            else "Here the truth is in the span of the members, which a published rate that does "
            "not hold the nominal one says that theirs is not.",
        )
        yield Compared(
            f"coverage of {name}, flows, {last} events",
            f"{percent(value)} (app. A)",
            f"{_rate(flows)}; pull {flows['pull_mean']:+.2f} ± {flows['pull_mean_error']:.2f}",
            f"All data sets share a bias of {bias:+.2f} claimed errors, which these flows have in "
            f"common; theirs are 60 others, refitted to 100 000 events.",
        )


def _alike(item: Json, covered: int) -> bool:
    """Return whether two rates differ by less than twice the error of the difference."""
    first, second = item["rate"], covered / DATASETS
    variances = (p * (1.0 - p) / n for p, n in ((first, item["trials"]), (second, DATASETS)))
    return bool(abs(first - second) < 2.0 * math.sqrt(sum(variances)))


def _published_counts() -> dict[str, int]:
    return {name: round(value * DATASETS) for name, value in PUBLISHED.items()}


def _published_intervals() -> str:
    told = []
    for name, covered in _published_counts().items():
        low, high = clopper_pearson(covered, DATASETS, level=INTERVAL_LEVEL)
        told.append(f"{percent(low)} to {percent(high)} ({name}, {covered} of {DATASETS})")
    return " and ".join(told)


def _published_verdict() -> str:
    missed = [
        name
        for name, covered in _published_counts().items()
        if not _holds(*clopper_pearson(covered, DATASETS, level=INTERVAL_LEVEL))
    ]
    if not missed:
        return "both hold the nominal rate"
    return f"that of {' and '.join(missed)} does not hold the nominal rate"


def _holds(low: float, high: float) -> bool:
    return low <= ONE_SIGMA <= high


def _item(found: Json, name: str) -> Json:
    return next(dict(each) for each in found["observables"] if each["name"] == name)


def _rate(item: Json) -> str:
    return f"{percent(item['rate'])} [{percent(item['low'])}, {percent(item['high'])}]"


def _rates(found: Json) -> str:
    return " and ".join(percent(_item(found, name)["rate"]) for name in MEANS)


def _half_width(found: Json) -> float:
    widths = [float(each["high"] - each["low"]) for each in found["observables"]]
    return 0.5 * max(widths)


def _worst(found: Json) -> float:
    """Return the largest deviation of the pulls' means and widths, in their errors."""
    deviations = [
        abs(float(each[f"pull_{what}"]) - nominal) / float(each[f"pull_{what}_error"])
        for each in found["observables"]
        for what, nominal in (("mean", 0.0), ("width", 1.0))
    ]
    return max(deviations)


def _given(numbers: Json) -> list[Cell]:
    return [
        Cell("in the span", numbers["in span"]),
        *(Cell(f"flows, {n} events", found) for n, found in numbers["flows"].items()),
    ]


def _honest(numbers: Json) -> Cell:
    return Cell(f"flows, {numbers['sizes']['events'][-1]} events, honest", numbers["honest"])


def _anew(numbers: Json) -> list[Cell]:
    titles = {"weights": "flows anew, errors of weights", "honest": "flows anew, honest"}
    return [Cell(title, numbers["retrained"][name]) for name, title in titles.items()]


def _cells(cells: list[Cell]) -> str:
    rows = []
    for cell in cells:
        for name in MEANS:
            item = _item(cell.found, name)
            low, high = wilson(item["covered"], item["trials"], level=INTERVAL_LEVEL)
            rows.append((
                cell.title,
                name,
                f"{item['covered']} of {item['trials']}",
                _rate(item),
                f"[{percent(low)}, {percent(high)}]",
                f"{item['pull_mean']:+.2f} ± {item['pull_mean_error']:.2f}",
                f"{item['pull_width']:.2f} ± {item['pull_width_error']:.2f}",
                f"{item['bias'] / item['mean_error']:+.2f}",
            ))  # fmt: skip
    head = ("", "", "covered", "rate", "Wilson", "pull mean", "pull width", "bias / error")
    return table(head, rows)


def _gaussians(numbers: Json) -> str:
    terms = [name for name in _TERMS if name in numbers["sizes"]["gaussian_terms"]]
    rows = [
        (
            str(each["events"]),
            str(each["members"]),
            *(_mean_rate(each[name]) if name in each else "" for name in terms),
        )
        for each in numbers["gaussians"]
    ]
    return table(("events of the weights", "M", *(_TERMS[name] for name in terms)), rows)


def _mean_rate(found: Json) -> str:
    """Return the mean rate of the features; the interval takes them as independent."""
    covered = sum(each["covered"] for each in found["observables"])
    trials = sum(each["trials"] for each in found["observables"])
    low, high = clopper_pearson(covered, trials, level=INTERVAL_LEVEL)
    return f"{percent(covered / trials)} [{percent(low)}, {percent(high)}]"


def _paint_rates(numbers: Json, figure: Figure) -> None:
    axes = figure.add_subplot()
    cells = [*_given(numbers), _honest(numbers), *_anew(numbers)]
    for column, name in enumerate(MEANS):
        colour, shift = style.FAMILIES[column], 0.16 * (2 * column - 1)
        items = [_item(cell.found, name) for cell in cells]
        covered = _published_counts()[name]
        low, high = clopper_pearson(covered, DATASETS, level=INTERVAL_LEVEL)
        rates = [covered / DATASETS, *(item["rate"] for item in items)]
        ends = [(low, high), *((item["low"], item["high"]) for item in items)]
        sides = np.abs(np.array(ends).T - rates)
        axes.errorbar(
            rates, np.arange(len(rates)) + shift, xerr=sides, fmt="o", color=colour, label=name
        )
    titles = ["published", *(cell.title for cell in cells)]
    axes.axvline(ONE_SIGMA, color=style.MUTED, ls="--", label="nominal")
    axes.set_yticks(range(len(titles)), titles)
    axes.set_ylim(len(titles) - 0.5, -0.5)
    axes.set_xlim(0.0, 1.0)
    axes.set_xlabel(f"coverage, with {percent(INTERVAL_LEVEL, 0)} intervals")
    style.legend_above(axes, 3)


def _paint_pulls(numbers: Json, figure: Figure) -> None:
    given = _given(numbers)
    cells = [given[0], given[1], given[-1]]
    edges = np.linspace(-5.0, 5.0, 31)
    normal = np.linspace(-5.0, 5.0, 201)
    panels = figure.subplots(1, len(cells), sharey=True)
    for axes, cell in zip(panels, cells, strict=True):
        pulls = np.array(cell.found["pulls"], dtype=np.float64)
        for column, name in enumerate(MEANS):
            axes.stairs(
                _density(pulls[:, column], edges), edges, color=style.FAMILIES[column], label=name
            )
        axes.plot(
            normal,
            np.exp(-0.5 * normal**2) / np.sqrt(2.0 * np.pi),
            color=style.DATA,
            ls="--",
            label="N(0, 1)",
        )
        axes.set_title(cell.title)
        axes.set_xlabel("(estimate \N{MINUS SIGN} truth) / error")
    panels[0].set_ylabel("data sets per unit")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=3)


def _density(pulls: Array, edges: Array) -> Array:
    # Pulls beyond the axis are put into its last bins, so that none is hidden.
    kept = np.clip(pulls[np.isfinite(pulls)], edges[0], edges[-1])
    counts = np.histogram(kept, edges)[0].astype(np.float64)
    return counts / (max(kept.size, 1) * np.diff(edges))


STUDY = Study(
    name="gaussian-coverage",
    letter="b",
    title="Coverage of the first moments",
    question="How often do the intervals of an ensemble on the means of the published Gaussian "
    "hold the true ones: for given members, and if these are made anew too?",
    source="G. Badaracco et al., *An end-to-end pipeline for uncertainty-aware validation of "
    "generative AI*, eq. 4, app. A and fig. 3",
    measure=measure,
    words=words,
    takeaway=takeaway,
    figures={"rates": _paint_rates, "pulls": _paint_pulls},
)
