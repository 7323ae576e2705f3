"""The strength of a signal above an oversampled template: which error of the template covers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import verisimile as vs
from published.registry import (
    Compared,
    Json,
    Size,
    Study,
    comparison,
    percent,
    table,
)
from published.search_work import ENERGY, LOW, MEMBERS, POWERS, SHARE
from published.template_work import (
    EDGES,
    ENSEMBLE,
    MASSES,
    OVERSAMPLED,
    RESOLUTION,
    REWEIGHTED,
    SLOPE,
    STRONG,
    of_an_ensemble,
    of_weights,
)
from verisimile.core.arrays import Array
from verisimile.core.records import Payload, Record
from verisimile.core.tasks import Task

_N_TRAIN, _N_DATA = 10_000, 20_000
_CLAIMED = (0.682689, 0.95)
_AT_FIVE_PER_CENT = 1.6449
_RESAMPLED = 2000
_SIZES: dict[Size, tuple[int, int]] = {"reduced": (60, 60), "full": (200, 200)}
_LONG = {
    "exact": "true spectrum",
    "nothing": "no error",
    "generated": "Poisson errors of the generated events",
    "training": "Poisson errors of the training events",
    "variations": "our variations",
    "as generated": "surrogate without weights",
    "weights as known": "weights taken for known",
}
_COLOURS = {
    "exact": "#111111",
    "nothing": "#6B7280",
    "as generated": "#6B7280",
    "generated": "#D55E00",
    "weights as known": "#D55E00",
    "training": "#009E73",
    "variations": "#0072B2",
}


def measure(run: vs.Run, size: Size) -> Json:
    """Return coverage of the strength, false discoveries and errors, by template."""
    ensembles, pairs = _SIZES[size]
    return {
        "n_train": _N_TRAIN,
        "n_data": _N_DATA,
        "ensemble": _study(run, "ensemble", of_an_ensemble, ensembles, ENSEMBLE),
        "reweighted": _study(run, "reweighted", of_weights, pairs, REWEIGHTED),
    }


def _study(
    run: vs.Run, name: str, work: Callable[..., Payload], count: int, kinds: tuple[str, ...]
) -> Json:
    args = (_N_TRAIN, _N_DATA)
    tasks = [
        Task(f"{name}/{k:04d}", {"args": repr(args)}, run.seeds.at(name, k), args)
        for k in range(count)
    ]
    made = list(run.map(work, tasks, label=name))
    kept = [each for each in made if isinstance(each, Record)]
    hits, z, mu, errors = (
        np.array([each.arrays[key] for each in kept]) for key in ("hits", "z", "mu", "errors")
    )
    rows = run.seeds.at("bootstrap").numpy().integers(len(kept), size=(_RESAMPLED, len(kept)))
    return {
        "toys": len(kept),
        "failed": len(made) - len(kept),
        "kinds": {
            kind: {
                "68": _cell(hits[:, i, :, 0], rows),
                "95": _cell(hits[:, i, :, 1], rows),
                "by mass": [_cell(hits[:, i, j : j + 1, 0], rows) for j in range(len(MASSES))],
                "false": _cell(z[:, i] > _AT_FIVE_PER_CENT, rows),
                "bias": float((mu[:, i] - 1.0).mean()),
                "off": float(np.sqrt(((mu[:, i] - 1.0) ** 2).mean())),
                "claimed": float(np.sqrt((errors[:, i] ** 2).mean())),
            }
            for i, kind in enumerate(kinds)
        },
    }


def _cell(beyond: Array, rows: Array) -> Json:
    """Return a share over toys and masses, and its interval from toys drawn anew."""
    each = beyond.astype(np.float64).mean(axis=1)
    low, high = np.quantile(each[rows].mean(axis=1), [0.025, 0.975])
    return {"value": float(each.mean()), "low": float(low), "high": float(high)}


def words(found: Json) -> str:
    """Return the page."""
    return f"""{_done(found)}

## A template from an ensemble

{_table(found["ensemble"], ENSEMBLE)}

{_counts(found["ensemble"], "ensembles")}
{_verdict(found["ensemble"], "generated")}

![Coverage of the strength by mass](figures/measurement-above-templates-ensemble.png)

## A template from reweighted events

A surrogate falls too fast, by a factor of e<sup>−{SLOPE:g} (m − {LOW:g} TeV)</sup>.  `vs.reweight`
learns the ratio from {found["n_train"]} reference and {2 * found["n_train"]} generated events;
{OVERSAMPLED * found["n_train"]} fresh generated events with these weights are the template.

{_table(found["reweighted"], REWEIGHTED)}

{_counts(found["reweighted"], "pairs of samples")}
{_verdict(found["reweighted"], "weights as known")}

![Coverage of the strength by mass](figures/measurement-above-templates-reweighted.png)

## Beside the paper

{_comparison(found)}

## What this does not say

One spectrum and one feature; the signal's place and shape are known, and the background's norm is,
too.  Errors of a smooth density cover on average over where one looks, not at each mass: the
figures show each.  The training sample has the law of the data's background."""


def _done(found: Json) -> str:
    n = found["n_train"]
    return f"""## What was done

Masses m of jet pairs above {LOW:g} TeV fall like $(1 - x)^{{{POWERS[0]:g}}} x^{{-{POWERS[1]:g}}}$
with $x = m$ / {ENERGY:g} TeV.  From {n} of them {MEMBERS} spline flows are trained on bootstrap
replicas of {round(SHARE * n)}; the other {round((1.0 - SHARE) * n)} fit the weights and the
discrepancy.  {OVERSAMPLED * n} events drawn from the ensemble, {OVERSAMPLED} times the training
sample, fill {EDGES.size - 1} bins: the template of a background of {found["n_data"]} events.  A
peak, {percent(RESOLUTION)} wide, is looked for at {", ".join(f"{m:g}" for m in MASSES)} TeV, its
strength 1 being {STRONG:g} standard deviations of the background under it.  Every ensemble has its
own training events and data.  `fit_signal` fits the strength (the model that
`Templates.to_pyhf` writes), and its 68 % and 95 % intervals hold the true one or not.  Templates
differ in their errors alone:

- *{_LONG["exact"]}*: contents of the true density, no error.
- *{_LONG["nothing"]}*: the generated events, as if they were the law.
- *{_LONG["generated"]}*: each bin has the counting error of its generated events: what an analysis
  does with simulated events.  **The defective twin.**
- *{_LONG["training"]}*: each bin has {OVERSAMPLED} times that variance, independent of the others.
- *{_LONG["variations"]}*: `templates` of the mixture, weights and discrepancy, and the counting
  error of the generated events besides."""


def _table(found: Json, kinds: tuple[str, ...]) -> str:
    rows = [
        (
            _LONG[kind],
            *(_interval(cell[key]) for key in ("68", "95", "false")),
            f"{cell['off']:.2f}",
            f"{cell['claimed']:.2f}",
            f"{cell['bias']:+.2f}",
        )
        for kind, cell in ((kind, found["kinds"][kind]) for kind in kinds)
    ]
    nominal = ("nominal", "68.3 %", "95 %", "5 %", "", "", "0")
    heads = ("68 % intervals hold", "95 % intervals hold", "false discoveries, Z > 1.64")
    return table(("", *heads, "off by", "claimed", "bias"), [nominal, *rows])


def _interval(cell: Json) -> str:
    return f"{percent(cell['value'])} ({percent(cell['low'])} to {percent(cell['high'])})"


def _counts(found: Json, what: str) -> str:
    failed = found["failed"]
    return (
        f"{found['toys']} {what}, {len(MASSES)} masses each"
        + (f"; {failed} more failed" if failed else "")
        + ".  The 95 % intervals come from drawing these anew; *off by* and *claimed* are root "
        "mean squares of the strength's error."
    )


def _verdict(found: Json, twin: str) -> str:
    good, bad = found["kinds"]["variations"], found["kinds"][twin]
    return (
        f"With *{_LONG[twin]}* an interval that claims 68 % holds the strength in "
        f"{_interval(bad['68'])}, and {percent(bad['false']['value'])} of the data without signal "
        f"are a discovery at 5 %; with *{_LONG['variations']}* {_interval(good['68'])} and "
        f"{percent(good['false']['value'])}."
    )


def _comparison(found: Json) -> str:
    cells = found["ensemble"]["kinds"]
    return comparison(
        [
            Compared(
                "error of a template from more events than in training",
                "announced, no number (Badaracco et al., section 5)",
                f"68 % intervals hold in {_interval(cells['variations']['68'])} with the "
                f"variations, {_interval(cells['generated']['68'])} with counting errors",
                "the paper plans this use and does not make it; nothing is there to compare",
            )
        ]
    )


def _figure(part: str, kinds: tuple[str, ...]) -> Callable[[Json, Figure], None]:
    def paint(found: Json, figure: Figure) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        for i, kind in enumerate(kinds):
            cells = found[part]["kinds"][kind]
            shift = 0.03 * (i - 0.5 * (len(kinds) - 1))
            _bars(left, np.array(MASSES) + shift, cells["by mass"], kind)
            _bars(right, np.arange(2) + 4.0 * shift, [cells["68"], cells["95"]], kind)
        left.axhline(_CLAIMED[0], color="0.6", lw=3.0, alpha=0.6)
        left.set(ylim=(0.0, 1.02), xlabel="m [TeV]", ylabel="68 % intervals that hold the strength")
        for k, level in enumerate(_CLAIMED):
            right.plot([k - 0.4, k + 0.4], [level, level], color="0.6", lw=3.0, alpha=0.6)
        right.set(ylim=(0.0, 1.02), xlabel="interval", ylabel="all masses")
        right.set_xticks([0, 1], ["68 %", "95 %"])
        figure.legend(
            *left.get_legend_handles_labels(), loc="outside upper left", ncols=3, fontsize=8
        )

    return paint


def _bars(axes: Axes, x: Array, cells: list[Json], kind: str) -> None:
    value = np.array([cell["value"] for cell in cells])
    ends = np.array([[cell["low"], cell["high"]] for cell in cells]).T
    axes.errorbar(
        x,
        value,
        np.abs(ends - value),
        fmt="o",
        ms=4,
        lw=1.0,
        color=_COLOURS[kind],
        label=_LONG[kind],
    )


def _takeaway(found: Json) -> str:
    cells, again = found["ensemble"]["kinds"], found["reweighted"]["kinds"]
    return (
        f"68 % intervals of a strength hold in {percent(cells['generated']['68']['value'], 0)} "
        f"with counting errors of the generated events, {_interval(cells['variations']['68'])} "
        f"with our variations; after reweighting {_interval(again['variations']['68'])}"
    )


STUDY = Study(
    name="measurement-above-templates",
    letter="i",
    title="A measurement above a learnt template",
    question="If a template has ten times the events that its generator was trained with, which "
    "error of the template makes the interval of a signal's strength cover?",
    source="Badaracco et al., section 5 (background estimates for searches, announced and not done "
    "there)",
    measure=measure,
    words=words,
    takeaway=_takeaway,
    figures={
        "ensemble": _figure("ensemble", ENSEMBLE),
        "reweighted": _figure("reweighted", REWEIGHTED),
    },
)
