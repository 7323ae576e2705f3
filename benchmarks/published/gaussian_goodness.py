"""The published goodness-of-fit experiment: a flow, an ensemble, and two kinds of uncertainty."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from published._goodness_work import (
    BUMP,
    PENALTY_EVENTS,
    PENALTY_KERNELS,
    PENALTY_MEMBERS,
    SHIFT,
    measure,
)
from published.registry import Compared, Json, Study, comparison, percent, shown, table
from verisimile.core.result import Result, from_dict
from verisimile.report import style
from verisimile.report.numbers import fixed, p_words, z_interval, z_words
from verisimile.stats.intervals import clopper_pearson
from verisimile.stats.pvalues import PValue

PUBLISHED = {
    "single": "20.29 ± 0.10",
    "ensemble": "4.13 +0.12 −0.13",
    "uncertainty": "0.92 +0.20 −0.14",
}
"""G. Badaracco et al., sec. 4 and fig. 2."""
PUBLISHED_TOYS = 10_662
"""Mean statistic of the null toys that are stored with the authors' analysis code."""
CODE = "the authors' code (github.com/gbadarac/MonoJet_NPLM_analysis, commit e06a5552)"
TITLES = {
    "single": "single flow",
    "ensemble": "ensemble, weights frozen",
    "uncertainty": "ensemble + uncertainty of the weights",
    "honest": "the same + what all members miss",
}
_LEVEL = 0.05
_PLATE = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}


def words(numbers: Json) -> str:
    """Return the page."""
    sizes, ensembles = numbers["sizes"], numbers["ensembles"]
    return f"""## Set-up

The truth is the published Gaussian, μ = (−0.5, 0.6), σ = (0.25, 0.4). {sizes["members"]} spline
flows are trained on bootstrap replicas of {sizes["training"]} events, their weights are fitted
to {sizes["weighting"]} others, and {sizes["datasets"]} test sets of {sizes["tested"]} events
each are tested, which neither has seen.  All of this is done {sizes["ensembles"]} times.  The
publication has 60 flows, 80 000 events of training and 100 000 of a test: 1.25 events of a test
for each of the training, and here {sizes["tested"] / sizes["training"]:.2g}.

All hypotheses have the same statistic, eq. 5 with 100 kernels, mass one by construction and one
placement, and the same calibration: {sizes["toys"]} predictive toys, whose weights are drawn
from their covariance.  So p is never below {1 / (sizes["toys"] + 1):.2g}, and Z at that floor is
a lower bound.  A single flow has no uncertainty: its toys come from the flow.

## Beside the publication

*χ² law* is the published convention for the first two: the χ² distribution with as many degrees
of freedom as the toys have on average, read at the median t of all test sets, the error being
that of the median.  It is an extrapolation far beyond the toys, and stands here to compare with
theirs alone.

{comparison(_compared(numbers))}

## Many test sets

One data set has one Z.  Rejected at 5 %, of {sizes["datasets"]} test sets of each ensemble (95 %
Clopper–Pearson interval on all of them together, for these ensembles: test sets of one ensemble
share its errors):

{_rejections(ensembles, list(TITLES))}

Profiling the weights does not help: the data's mean t exceeds the toys' by
{_excess(ensembles, "ensemble"):.1f} with frozen weights and by
{_excess(ensembles, "uncertainty"):.1f} with profiled ones.  What is left all members miss alike,
and no weight of theirs undoes it.  The last row has it in its errors, which are learnt from the
events of the weight fit ([Honest bands](../honest-bands.md)); they are as large as the counting
error of a test of {min(each["supports"] for each in ensembles):.0f} events in that ensemble
where they are largest.

## What plug-in toys would have said

The published calibration throws its toys at exactly the fitted weights.  Real data miss these by
one draw of their covariance, such toys never do, and their t is smaller.  Here that matters less
than what all members miss:

{_plug_in(ensembles)}

How often both reject with the truth in the span of the members, where a test has but its size,
is on the page [Calibrated](../calibrated.md).

## What it still sees

Test sets with a planted defect: a shift of the first feature by {SHIFT} σ, or {percent(BUMP, 0)}
of the events in a bump of 0.15 σ.  Rejected at 5 %, of {sizes["defective"]} test sets of each
ensemble:

{_power(ensembles)}

The errors of the last row have a price: what looks like the errors of flows is taken for one.
The shift is {SHIFT * sizes["tested"] ** 0.5:.1f} times the error of a test set's mean, and
{SHIFT / (1 / sizes["tested"] + 1 / sizes["weighting"]) ** 0.5:.1f} times that of its difference
from the events that these errors are learnt from; the other hypotheses reject the truth itself,
and their counts are no power.

## The soft penalty

As the published statistic was run, by {CODE}, the sums of the coefficients are held to one by a
quadratic penalty divided by their number.  {PENALTY_EVENTS} fresh events of the truth,
{PENALTY_MEMBERS} and {PENALTY_MEMBERS + PENALTY_KERNELS} coefficients, {PENALTY_KERNELS} kernels
about the first ensemble, give "densities" of mass {numbers["penalty"]["null_mass"]:.3f} and
{numbers["penalty"]["alternative_mass"]:.3f}, and a statistic of
{numbers["penalty"]["statistic"]:.1f}, without the factor two.  Of this
{numbers["penalty"]["artefact"]:.1f} come from the two masses alone.  With mass one by
construction the same events have t = {numbers["penalty"]["exact"]:.1f}, of which a half is to be
compared: {0.5 * numbers["penalty"]["exact"]:.1f} beside
{numbers["penalty"]["statistic"] - numbers["penalty"]["artefact"]:.1f}.

## Figures

![Statistic of toys and of test sets](figures/gaussian-goodness-statistic.png)

Toys of the first ensemble (bars), and its test sets (lines): the published fig. 2.

![Marginals, with the uncertainty of the weights](figures/gaussian-goodness-marginals.png)

The first test set, the mixture, and the fitted alternative, with the bands of the weights alone:
the published fig. 1.  They are true marginals; by {CODE} the published ones are slices at the
mean of the other feature, which is the same for independent features alone.

![Marginals, with what all members miss](figures/gaussian-goodness-honest.png)

The same with what all members miss in the mixture and in its bands.

![Weights](figures/gaussian-goodness-weights.png)

Weights of the first ensemble; Σ|w| = {ensembles[0]["l1_norm"]:.2f}.

## What the reduced size cannot say

Z above {stats.norm.isf(1 / (sizes["toys"] + 1)):.2f}; what 60 larger flows that 80 000 events
trained miss alike; and the scatter over more than {sizes["ensembles"]} trainings.
`ARGS="gaussian-goodness --size full"` takes the published sizes and the published network, and
has not been run.
"""


def takeaway(numbers: Json) -> str:
    """Return what came out, in one sentence."""
    rates = ", ".join(f"{TITLES[name]} {_count(numbers['ensembles'], name)}" for name in TITLES)
    return f"True test sets rejected at 5 %: {rates}."


def _compared(numbers: Json) -> list[Compared]:
    ensembles, sizes = numbers["ensembles"], numbers["sizes"]
    ratio = sizes["tested"] / sizes["training"]
    times = "" if ratio == 1.0 else f"{ratio:.2g} times "
    why = {
        "single": f"In {CODE} it is another test, a two-sample one of 100 000 events against "
        f"500 000 with a χ² law beyond its 100 toys; here the kernel test sees "
        f"{sizes['tested']} events, and t beyond the toys' grows in proportion to these.",
        "ensemble": "As above: another test there, whose Z is read off a χ² law; fewer members "
        f"here, and {times}as many events tested as trained on.",
        "uncertainty": f"There t is the median of 100 test sets beside plug-in toys, and by {CODE} "
        f"all but about 13 of 10 662 are the soft penalty's; here {sizes['members'] - 1} free "
        "weights cannot undo what all members miss alike, as the next row shows.",
    }
    rows = [
        Compared(f"Z, {TITLES[name]}", f"{value} (sec. 4)", _z_cell(ensembles, name), why[name])
        for name, value in PUBLISHED.items()
    ]
    penalty = numbers["penalty"]
    return [
        *rows,
        Compared(
            f"Z, {TITLES['honest']}",
            "not done",
            _z_cell(ensembles, "honest"),
            "The publication's errors are those of the weights alone, for given members.",
        ),
        Compared(
            "statistic under the soft penalty",
            f"{PUBLISHED_TOYS}, mean of the null toys that are stored with the code",
            f"{penalty['statistic']:.1f}, of which {penalty['artefact']:.1f} from the masses "
            f"({penalty['closed_form']:.1f} in closed form)",
            f"Their toys come from the model under test, and about 13 are kernels fitted to noise; "
            f"here {PENALTY_EVENTS} events of the truth also see what the ensemble misses.",
        ),
    ]


def _z_cell(ensembles: list[Json], name: str) -> str:
    first = _p(ensembles[0]["questions"][name]["p"][0])
    laws = [each["questions"][name]["published_z"] for each in ensembles]
    law = "; ".join(f"{_one(z['z'])} [{_one(z['low'])}, {_one(z['high'])}]" for z in laws)
    return (
        f"first test set: {p_words(first)}, {z_words(first)} [{z_interval(first.significance)}]"
        f"; χ² law, each ensemble: {law}"
    )


def _one(z: float) -> str:
    return fixed(round(z, 1) + 0.0, places=1)  # no negative zero


def _p(told: list[float]) -> PValue:
    value, low, high, toys, failed = told
    return PValue(value, low, high, "toys", int(toys), int(failed))


def _rejected(told: list[list[float]]) -> int:
    return sum(value <= _LEVEL for value, *_ in told)


def _count(ensembles: list[Json], name: str, kind: str = "p") -> str:
    told = [each["questions"][name][kind] for each in ensembles]
    return f"{sum(map(_rejected, told))} of {sum(map(len, told))}"


def _with_interval(ensembles: list[Json], name: str, kind: str = "p") -> str:
    told = [each["questions"][name][kind] for each in ensembles]
    k, n = sum(map(_rejected, told)), sum(map(len, told))
    low, high = clopper_pearson(k, n, level=0.95)
    return f"{k} of {n} [{percent(low, 0)}, {percent(high, 0)}]"


def _moments(values: list[float]) -> str:
    return f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}"


def _joined(ensembles: list[Json], name: str, key: str) -> list[float]:
    return [value for each in ensembles for value in each["questions"][name][key]]


def _rejections(ensembles: list[Json], names: list[str]) -> str:
    rows = []
    for name in names:
        told = [each["questions"][name]["p"] for each in ensembles]
        values = np.array([p[0] for each in told for p in each])
        rows.append((
            TITLES[name],
            ", ".join(str(_rejected(each)) for each in told),
            _with_interval(ensembles, name),
            f"{shown(np.median(values), 2)} ({shown(values.min(), 2)} to {shown(values.max(), 2)})",
            _moments(_joined(ensembles, name, "t")),
            _moments(_joined(ensembles, name, "toys")),
        ))  # fmt: skip
    head = ("", "each ensemble", "together", "median p (range)", "t of data", "t of toys")
    return table(head, rows)


def _plug_in(ensembles: list[Json]) -> str:
    rows = []
    for name in ("ensemble", "uncertainty"):
        twin = f"{name}, plug-in"
        medians = [
            shown(float(np.median([p[0] for p in _joined(ensembles, each, "p")])), 2)  # type: ignore[index]
            for each in (name, twin)
        ]
        toys = [_moments(_joined(ensembles, each, "toys")) for each in (name, twin)]
        counts = [_with_interval(ensembles, each) for each in (name, twin)]
        rows.append((TITLES[name], *toys, *medians, *counts))
    head = (
        "",
        "t of predictive toys",
        "t of plug-in toys",
        "median p, predictive",
        "median p, plug-in",
        "rejected, predictive",
        "rejected, plug-in",
    )
    return table(head, rows)


def _power(ensembles: list[Json]) -> str:
    rows = [
        (TITLES[name], *(_with_interval(ensembles, name, kind) for kind in ("p", "shift", "bump")))
        for name in TITLES
    ]
    return table(("", "no defect", f"shift of {SHIFT} σ", f"bump of {percent(BUMP, 0)}"), rows)


def _excess(ensembles: list[Json], name: str) -> float:
    of_data, of_toys = (_joined(ensembles, name, key) for key in ("t", "toys"))
    return float(np.mean(of_data) - np.mean(of_toys))


def _paint_statistic(numbers: Json, figure: Figure) -> None:
    asked = numbers["ensembles"][0]["questions"]
    values = [v for name in TITLES for key in ("t", "toys") for v in asked[name][key]]
    edges = np.linspace(0.95 * min(values), 1.02 * max(values), 40)
    panels = figure.subplots(len(TITLES), 1, sharex=True)
    for axes, (name, title) in zip(panels, TITLES.items(), strict=True):
        counts, _ = np.histogram(asked[name]["toys"], edges)
        axes.stairs(counts, edges, fill=True, color=style.TOYS, label="toys")
        for number, t in enumerate(asked[name]["t"]):
            axes.axvline(
                t, color=style.ALTERNATIVE, lw=1.0, label="" if number else "test sets of the truth"
            )
        axes.set_yticks([])
        axes.set_ylim(0.0, 1.15 * max(counts))
        axes.text(
            0.99, 0.86, title, transform=axes.transAxes, ha="right", va="top", size=8.5, bbox=_PLATE
        )
    panels[-1].set_xlabel("t")
    style.legend_above(panels[0], 2)


def _paint_marginals(numbers: Json, figure: Figure, name: str) -> None:
    for place, told in enumerate(numbers["marginals"][name]):
        result = from_dict(told)
        if isinstance(result, Result):
            result.plot(ax=figure.add_subplot(1, 2, place + 1))


def _paint_weights(numbers: Json, figure: Figure) -> None:
    first = numbers["ensembles"][0]
    axes: Axes = figure.add_subplot()
    places = np.arange(1, 1 + len(first["weights"]))
    axes.axhline(0.0, color=style.MUTED, lw=0.8)
    axes.axhline(1.0 / places.size, color=style.MUTED, ls="--", label="equal weights")
    axes.errorbar(
        places, first["weights"], first["errors"], fmt="o", color=style.REFERENCE, label="fit ± 1σ"
    )
    axes.set_xlabel("member")
    axes.set_ylabel("weight")
    axes.set_xticks(places)
    style.legend_above(axes, 2)


STUDY = Study(
    name="gaussian-goodness",
    letter="a",
    title="Goodness of fit of the published Gaussian",
    question="How far from the truth are one flow, an ensemble of flows, the ensemble with the "
    "uncertainty of its weights, and with what all of its members miss alike?",
    source="G. Badaracco et al., *An end-to-end pipeline for uncertainty-aware validation of "
    "generative AI*, sec. 3 and 4, figs. 1 and 2",
    measure=measure,
    words=words,
    takeaway=takeaway,
    figures={
        "statistic": _paint_statistic,
        "marginals": lambda numbers, figure: _paint_marginals(numbers, figure, "uncertainty"),
        "honest": lambda numbers, figure: _paint_marginals(numbers, figure, "honest"),
        "weights": _paint_weights,
    },
)
