"""Words and figures of the study of amplification, from its numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from published._amplification_truths import exact_camel_gain, power_law
from published.registry import Compared, Json, between, comparison, percent, shown, table
from verisimile.core.result import from_dict
from verisimile.report import style
from verisimile.report.sections.amplification_condition import plot_conditional_gain
from verisimile.stats.intervals import wilson

PUBLISHED = {83: ("AdamMCMC", 0.0121, 0.0047, 0.986, 0.037),
             233: ("VIB", 0.00429, 0.00293, 0.99, 0.065)}  # fmt: skip
"""a and b with errors, arXiv:2408.00838, fits of G(N_Q) on the donut, by the 1/a next to them."""

_KS = math.sqrt(math.pi / 2.0) * math.log(2.0)
"""[V] eq. 37."""

_HEAD = """[V] is the review (VERaiPHY, section 6), [A] S. Bieringer et al., arXiv:2408.00838.
A. Butter et al. (SciPost Phys. 10, 139) introduced camel, ring and shells; their values were not at
hand and are not compared.  All intervals are of 95 %."""


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean with Student's interval of 95 %."""
    found = np.asarray(values, dtype=np.float64)
    half = stats.t.isf(0.025, found.size - 1) * found.std(ddof=1) / math.sqrt(found.size)
    return float(found.mean()), float(found.mean() - half), float(found.mean() + half)


def _with(found: tuple[float, float, float], digits: int = 3) -> str:
    return f"{shown(found[0], digits)} ({between(found[1], found[2], digits)})"


def _gain(point: Json, digits: int = 3) -> str:
    """Return G with its interval."""
    low = math.inf if point["high"] <= 0.0 else 1.0 / point["high"]
    if point["low"] <= 0.0:
        return f"above {shown(low, digits)}"
    value = point["inverse"]
    said = f"{shown(1.0 / value, digits)} " if value > 0.0 else ""
    return f"{said}({between(low, 1.0 / point['low'], digits)})"


def flow_law(numbers: Json, kind: int) -> tuple[tuple[float, float, float], ...]:
    """Return a and b of the flows' scatter, with jackknife intervals over the members.

    Regions up to twice the members' degrees of freedom are left out by taking 100 and more.
    """
    points = [p for p in numbers["flows"][kind]["points"] if p["regions"] >= 49]
    counts = [p["regions"] for p in points]
    whole = power_law(counts, [1.0 / p["scatter"]["inverse"] for p in points])
    left = np.array([
        power_law(counts, [1.0 / p["cells"][k] for p in points])
        for k in range(len(points[0]["cells"]))
    ])  # fmt: skip
    size = len(left)
    error = np.sqrt((size - 1) / size * ((left - left.mean(axis=0)) ** 2).sum(axis=0))
    half = stats.t.isf(0.025, size - 1) * error
    return tuple(
        (value, float(value - h), float(value + h)) for value, h in zip(whole, half, strict=True)
    )


def words(numbers: Json) -> str:
    """Return the page below its head."""
    return "\n\n".join([
        _HEAD,
        "## Published beside ours\n\n" + comparison(_rows(numbers)),
        _donut(numbers),
        _camel(numbers),
        _shells(numbers),
        _along(numbers),
        _parabola(numbers),
        _limits(numbers),
    ])  # fmt: skip


def _series(numbers: Json, size: int) -> list[Json]:
    return [each for each in numbers["series"] if each["size"] == size]


def _rows(numbers: Json) -> list[Compared]:
    rows = []
    for size, (name, a, da, b, db) in PUBLISHED.items():
        runs = _series(numbers, size)
        exact = runs[0]["exact"]
        pooled = [mean_interval([each["pooled"][k] for each in runs]) for k in (0, 1)]
        rows.append(Compared(
            f"donut, {name}: a; b",
            f"{a} ± {da}; {b} ± {db} ([A])",
            f"a density of {size} coefficients: exact {shown(exact[0])}; {shown(exact[1], 4)}, "
            f"measured {_with(pooled[0])}; {_with(pooled[1], 4)}",
            f"agrees: 1/a is the number of free coefficients, here chosen as {size}, so a is no "
            "test; b is, and is just below 1 because no coefficient is lost at fewer regions",
        ))  # fmt: skip
    scatter = flow_law(numbers, 0)
    rows.append(Compared(
        "donut, a trained flow: a; b",
        " and ".join(f"{a}; {b}" for _, a, _, b, _ in PUBLISHED.values()) + " ([A])",
        f"{_with(scatter[0])}; {_with(scatter[1])}",
        "another network: a spline flow, whose trainings scatter in fewer directions than the "
        "posterior of a flow-matching network, and fewer regions",
    ))  # fmt: skip
    worst = max(_series(numbers, 83)[0]["points"], key=lambda p: p["regions"])
    of_one = [each["points"][-1]["published"] / worst["exact"] for each in _series(numbers, 83)]
    rows.append(Compared(
        f"estimate of [A], sum of μ²/σ², over the exact G, {worst['regions']} regions",
        "taken as G ([A], its code)",
        _with(mean_interval(of_one)),
        "two biases that the formula shows: 1000 points in a region are noise in σ² that is not "
        "taken out (G down), and a mean of 1/σ² over regions is no 1/mean (G up)",
    ))  # fmt: skip
    n, m, mean, error = numbers["kolmogorov"][0]["rows"][0]
    rows.append(Compared(
        f"mean KS over √(1/n + 1/m), n = m = {n}",
        f"{_KS:.4f} ([V] eq. 37)",
        f"{shown(mean)} ({between(mean - 2 * error, mean + 2 * error)})",
        "eq. 37 is the limit of many events; step functions of fifty miss part of the distance",
    ))  # fmt: skip
    level = numbers["parabola"][0]["levels"][1]
    ratio = level["lowest"][0] / level["fit"][0]
    spread = ratio * math.hypot(
        level["lowest"][1] / level["lowest"][0], level["fit"][1] / level["fit"][0]
    )
    rows.append(Compared(
        "parabola of 10 points: error of the lowest point over that of the fit",
        "“significantly better” ([V] Fig. 4, no number)",
        f"{shown(ratio)} ({between(ratio - 2 * spread, ratio + 2 * spread)}), noise "
        f"{level['noise']}",
        "agrees",
    ))  # fmt: skip
    again = level["again"][0] / level["fit"][0]
    rows.append(Compared(
        "the same, a fit to 200 generated points over the fit to the data",
        "no improvement expected ([V] section 6.3)",
        f"error times {shown(again, 4)}",
        "agrees",
    ))  # fmt: skip
    return rows


def _donut(numbers: Json) -> str:
    sides = [(p["regions"], p) for p in _series(numbers, 233)[0]["points"]]
    rows = []
    for place, (regions, _) in enumerate(sides):
        cells = [str(regions)]
        for size in (83, 233):
            points = [each["points"][place] for each in _series(numbers, size)]
            pooled = [point["inverse"] for point in points]
            mean, low, high = mean_interval(pooled)
            published = mean_interval([point["published"] for point in points])
            cells += [
                shown(points[0]["exact"]),
                _gain({"inverse": mean, "low": low, "high": high}),
                _with(published),
            ]
        rows.append(cells)
    flow = numbers["flows"]
    of_flows = [
        [str(one["regions"]), _gain(one["scatter"]), _gain(two["scatter"]), _gain(one["distance"]),
         shown((one["regions"] - 1) * one["distance"]["inverse"])]
        for one, two in zip(flow[0]["points"], flow[1]["points"], strict=True)
    ]  # fmt: skip
    plan = numbers["plan"]
    return (
        "## Donut: is G = a·N_Q^b a law of the network?\n\n"
        "r = 4 + Gamma(2, ½), any angle, 10 000 training events, polar regions of equal true "
        f"probability, {plan['draws']} draws of {plan['per_region']} events per region as in [A].  "
        "The generators here are densities of K free coefficients whose G is known in closed "
        "form.  G is 1 while regions are fewer than K, and (N_Q − 1)/K above: **a is one over the "
        "number of coefficients and b is 1 for any smooth generator**; the fit says how many "
        "degrees of freedom were trained, and nothing more.\n\n"
        f"Mean over {plan['repetitions']} ensembles, with intervals:\n\n"
        + table(
            (
                "regions",
                "K = 83, exact",
                "pooled averaging",
                "as in [A]",
                "K = 233, exact",
                "pooled averaging",
                "as in [A]",
            ),
            rows,
        )  # fmt: skip
        + "\n\n![G against regions](figures/amplification-of-the-papers-donut.png)\n\n"
        f"{plan['flows']} spline flows, each trained on 10 000 events of its own, or on bootstrap "
        f"replicas of one sample; {percent(flow[0]['inside the edge'], 2)} of their events are "
        "inside of the edge, where there is nothing:\n\n"
        + table(
            (
                "regions",
                "G, scatter of trainings",
                "G, scatter of replicas",
                "G, distance from the truth",
                "k_eff of the distance",
            ),
            of_flows,
        )  # fmt: skip
        + "\n\nThe scatter is blind to what all flows share; the distance is not, and where "
        "regions are small it is the edge that is shared."
    )


def _camel(numbers: Json) -> str:
    rows, distance = [], numbers["camel-distance"][0]
    for place, count in enumerate(p["regions"] for p in distance["fit"]["quantile"]):
        runs = [each[str(count)] for each in numbers["camel"]]
        mean, low, high = mean_interval([each["inverse"] for each in runs])
        rows.append([
            str(count),
            shown(exact_camel_gain(count), 4),
            _gain({"inverse": mean, "low": low, "high": high}),
            _with(mean_interval([each["published"] for each in runs])),
            *(_gain(distance[name]["quantile"][place])
              for name in ("fit", "memoriser", "five samples")),
        ])  # fmt: skip
    energy = [
        [name, _gain(found["energy"]), _gain(found["KS"])] for name, found in distance.items()
    ]
    plan = numbers["plan"]
    return (
        "## Camel: three families whose answer is known\n\n"
        f"{plan['camel_train']} training events.  The fit has five parameters; the memoriser "
        "(truth: 1) and five times the training events (truth: 5) are drawn again and again.\n\n"
        + table(
            (
                "regions",
                "fit, exact",
                "fit, averaging",
                "fit, averaging as in [A]",
                "fit, quantile",
                "memoriser, quantile",
                "five samples, quantile",
            ),
            rows,
        )  # fmt: skip
        + "\n\nDifferential measures of the same (energy: six trainings; KS: one):\n\n"
        + table(("", "energy distance", "KS"), energy)
        + "\n\nAt the energy distance's one resolution the fit is worth little more than its "
        "training sample, and one KS distance resolves almost nothing: [V] section 6.2 says so of "
        "large G, and it holds of all."
    )


def _shells(numbers: Json) -> str:
    names = ("fit", "memoriser", "kernel density")
    rows = [
        [str(each["d"]), name, shown(each["exact"]) if name == "fit" else
         "1" if name == "memoriser" else "–",
         *(_gain(each[name][measure]) for measure in ("quantile", "averaging", "energy")),
         f"above {shown(each[name]['classifier']['above'])}"]
        for name in names for each in numbers["shell"]
    ]  # fmt: skip
    plan = numbers["plan"]
    return (
        "## Shells in d dimensions\n\n"
        f"{plan['shell_trainings']} trainings on {plan['shell_train']} events each, "
        f"{plan['shell_events']} generated and as many held out, 64 boxes of equal true "
        "probability.  The fit has d + 2 parameters; the kernel density has Silverman's width.\n\n"
        + table(
            ("d", "generator", "exact", "quantile", "averaging", "energy", "classifier's KS, 95 %"),
            rows,
        )
        + "\n\n![G against d](figures/amplification-of-the-papers-shells.png)\n\n"
        "A kernel density of a thin shell is mostly bias: its members agree with each other and "
        "not with the truth, so that averaging says far too much.  The classifier's score finds "
        "copies that no region of this size shows: it is a limit on G for a generator that errs "
        "like a sample, and a lower one than the truth."
    )


def _along(numbers: Json) -> str:
    found = numbers["along"][0]
    rings = from_dict(found["rings"])
    low, high = rings.gain_band(0.95)  # type: ignore[attr-defined]
    rows = [
        [f"{center:.2f}", shown(gain), shown(1.0 / truth), between(float(a), float(b))
         if math.isfinite(b) else f"above {shown(float(a))}"]
        for center, gain, truth, a, b in zip(
            rings.centres, numbers["gains"], found["truth"], low, high, strict=True)  # type: ignore[attr-defined]
    ]  # fmt: skip
    count = sum(each["count"] for each in numbers["joint"])
    hits = np.sum([each["hits"] for each in numbers["joint"]], axis=0)
    shares = []
    for row, level in enumerate((0.68, 0.95)):
        said = [wilson(int(k), count, level=0.95) for k in hits[row]]
        shares.append([percent(level, 0), *(
            f"{percent(int(k) / count, 0)} ({percent(end.low, 0)} to {percent(end.high, 0)})"
            for k, end in zip(hits[row], said, strict=True)
        )])  # fmt: skip
    score, other = found["classifier"], found["classifier of the truth"]
    return (
        "## G as a function of a condition\n\n"
        "[V] section 6.3 calls amplification of conditional generators unexplored.  "
        "`vs.amplification.conditional` measures it in bins of c with bands that hold in all bins "
        "together.  Here the condition is the radius and G of the angle is known: in five rings "
        "the generator draws from G times the ring's training events.\n\n"
        + table(("median r", "G of the procedure", "G of this generator", "band of 95 %"), rows)
        + "\n\n![G along the radius](figures/amplification-of-the-papers-along.png)\n\n"
        f"All five rings were inside of the band, in {count} experiments:\n\n"
        + table(("stated", "bands", "twin: intervals of single rings"), shares)
        + "\n\nThe right panel is one flow, the radius resolved in ten regions within each fifth "
        "of it.\n\n"
        f"A classifier's score sees of that flow G {_gain(score)}, above "
        f"{shown(score['above'])} at 95 %, and of the truth in its place above "
        f"{shown(other['above'])}.  With {score_sizes(numbers)} it can say no more: the KS "
        "distance's resolution is that of the held-out events."
    )


def score_sizes(numbers: Json) -> str:
    """Return how many held-out events the classifier had."""
    return "10 000 held-out events scored and 10 000 to learn from" if numbers else ""


def _parabola(numbers: Json) -> str:
    levels = numbers["parabola"][0]["levels"]
    rows = [
        [
            shown(each["noise"]),
            *(f"{shown(value)} ± {shown(error, 2)}" for value, error in
              (each["lowest"], each["fit"], each["again"])),
            *(shown(value) for _, value, _ in each["lowest of more"][1:]),
        ]
        for each in levels
    ]  # fmt: skip
    counts = [str(points) for points, _, _ in levels[0]["lowest of more"]]
    return (
        "## The parabola of [V] Fig. 4\n\n"
        "Root mean square error of the minimum's place, y = x² + noise, ten points over an "
        "interval of length 2, whose middle is off the minimum by up to 0.3.  [V] does not say "
        "what noise it has.\n\n"
        + table(
            (
                "noise",
                "lowest of 10",
                "fit to 10",
                "fit to 200 generated",
                *(f"lowest of {count}" for count in counts[1:]),
            ),
            rows,
        )  # fmt: skip
        + "\n\nWithout noise the fit is exact, and any G can be had.  With noise the lowest of "
        "more and more points is hardly better, as it is chosen for its noise: the number of "
        "points that would replace the fit is not a number of equivalent events.  A fit to what was "
        "generated from the fit adds the generated points' own noise: the knowledge is used "
        "once."
    )


def _limits(numbers: Json) -> str:
    plan = numbers["plan"]
    return (
        "## What this size cannot say\n\n"
        f"- The flows are {plan['flows']} spline flows of {plan['epochs']} epochs and not the "
        "Bayesian flow-matching networks of [A]: a and b of those are not measured again, what "
        "they mean is.\n"
        f"- Regions of the flows end at {plan['flow_sides'][-1] ** 2}, where [A] goes to 40 000; "
        "the densities of known G have all of them.\n"
        "- Errors that [A] states may be those of its fits or of five trainings; ours are between "
        "whole ensembles."
    )


def donut(numbers: Json, figure: Figure) -> None:
    """Draw G against regions: exact, measured, published lines, flows."""
    axes = figure.subplots()
    for size, colour in ((83, style.DATA), (233, style.ALTERNATIVE)):
        runs = _series(numbers, size)
        regions = np.array([p["regions"] for p in runs[0]["points"]])
        axes.plot(regions, [p["exact"] for p in runs[0]["points"]], color=colour,
                  label=f"K = {size}, exact")  # fmt: skip
        inverse = np.array([[p["inverse"] for p in each["points"]] for each in runs]).mean(axis=0)
        axes.plot(regions, 1.0 / inverse, "o", color=colour, ms=4.0, label="measured")
        name, a, _, b, _ = PUBLISHED[size]
        axes.plot(regions[-8:], a * regions[-8:] ** b, color=colour, ls=":", lw=2.2,
                  label=f"{name}, published")  # fmt: skip
    for key, mark, said in (
        ("scatter", "s", "flows, scatter"),
        ("distance", "D", "flows, distance"),
    ):
        points = [p for p in numbers["flows"][0]["points"] if p[key]["inverse"] > 0.0]
        axes.plot([p["regions"] for p in points], [1.0 / p[key]["inverse"] for p in points], mark,
                  color=style.REFERENCE, mfc="none", ms=5.0, label=said)  # fmt: skip
    axes.axhline(1.0, color=style.MUTED, lw=1.0, ls=(0, (4, 2)))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("regions")
    axes.set_ylabel("G (times the training sample)")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9)


def shells(numbers: Json, figure: Figure) -> None:
    """Draw 1/G of three generators against the dimension, by regions and by scatter."""
    panels = figure.subplots(1, 3, sharey=True)
    for axes, name in zip(panels, ("fit", "memoriser", "kernel density"), strict=True):
        for shift, (key, colour) in enumerate(
            (("quantile", style.DATA), ("averaging", style.ALTERNATIVE), ("energy", style.MUTED))
        ):
            d = np.array([each["d"] for each in numbers["shell"]]) + 0.15 * (shift - 1)
            points = [each[name][key] for each in numbers["shell"]]
            low, high = np.array([[p["low"], p["high"]] for p in points]).T
            axes.vlines(d, np.maximum(low, 2e-3), high, colour, lw=1.4)
            value = np.array([p["inverse"] for p in points])
            axes.plot(d[value > 0.0], value[value > 0.0], "o", color=colour, ms=4.0, label=key)
        if name == "fit":
            known = [1.0 / each["exact"] for each in numbers["shell"]]
            axes.plot([e["d"] for e in numbers["shell"]], known, "k_", ms=14, label="exact")
        axes.set_yscale("log")
        axes.set_ylim(2e-3, None)
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("d")
        axes.axhline(1.0, color=style.MUTED, lw=1.0, ls=(0, (4, 2)))
    panels[0].set_ylabel("1 / G")
    panels[0].legend(loc="lower left", fontsize=8)


def along(numbers: Json, figure: Figure) -> None:
    """Draw G along the radius of the known generator and of a flow."""
    left, right = figure.subplots(1, 2)
    found = numbers["along"][0]
    rings = from_dict(found["rings"])
    plot_conditional_gain(rings, ax=left)  # type: ignore[arg-type]
    left.plot(rings.centres, 1.0 / np.array(found["truth"]), "kx", ms=7, label="true")  # type: ignore[attr-defined]
    left.set_title("known G of the angle", fontsize=10, loc="right")
    style.legend_above(left, 2)
    plot_conditional_gain(from_dict(found["flow"]), ax=right)  # type: ignore[arg-type]
    right.set_title("a flow, its radius", fontsize=10, loc="right")


FIGURES: dict[str, Callable[[Json, Figure], None]] = {
    "donut": donut, "shells": shells, "along": along,
}  # fmt: skip
