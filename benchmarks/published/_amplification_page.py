"""Words of the study of amplification, from its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from scipy import stats

from published._amplification_truths import exact_camel_gain, power_law
from published.registry import Compared, Json, between, comparison, percent, shown, table
from verisimile.core.result import from_dict
from verisimile.stats.intervals import wilson

PUBLISHED = {83: ("AdamMCMC", 0.0121, 0.0047, 0.986, 0.037),
             233: ("VIB", 0.00429, 0.00293, 0.99, 0.065)}  # fmt: skip
"""a and b with errors, arXiv:2408.00838, fits of G(N_Q) on the donut, by the 1/a next to them."""

_KS = math.sqrt(math.pi / 2.0) * math.log(2.0)
"""[V] eq. 37."""

FIRST = 49
"""Regions from which on the flows' law is fitted."""

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
    """Return a and b of the flows' scatter, with jackknife intervals over the members."""
    points = [p for p in numbers["flows"][kind]["points"] if p["regions"] >= FIRST]
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


def series_of(numbers: Json, size: int) -> list[Json]:
    """Return the ensembles of densities with so many coefficients."""
    return [each for each in numbers["series"] if each["size"] == size]


def _rows(numbers: Json) -> list[Compared]:
    return [*_laws(numbers), *_networks(numbers), *_estimator(numbers), *_others(numbers)]


def _laws(numbers: Json) -> Iterator[Compared]:
    """Yield a and b of the densities that have as many coefficients as the published 1/a."""
    for size, (name, a, da, b, db) in PUBLISHED.items():
        runs = series_of(numbers, size)
        exact = runs[0]["exact"]
        pooled = [mean_interval([each["pooled"][k] for each in runs]) for k in (0, 1)]
        off = (exact[0] - a) / da, (exact[1] - b) / db
        first = 15**2
        said = (
            f"within the published errors ({off[0]:+.1f} and {off[1]:+.1f} of them); K was set "
            "to 1/a, and the fit's a is above 1/K because few regions average out the finest waves"
            if max(map(abs, off)) < 1.0
            else f"a is off by {off[0]:+.1f} and b by {off[1]:+.1f} published errors, against each "
            f"other as in any fit of a line; the published line has G = {shown(a * first**b)} at "
            f"{first} regions, where a density that follows its sample has "
            f"{shown(_at(runs[0], first)['exact'])}: if it holds there, that posterior is "
            "wider than the noise of its sample"
        )
        yield Compared(
            f"donut, {name}: a; b",
            f"{a} ± {da}; {b} ± {db} ([A])",
            f"a density of {size} coefficients: exact {shown(exact[0])}; {shown(exact[1])}, "
            f"measured {_with(pooled[0])}; {_with(pooled[1])}",
            said,
        )


def _at(found: Json, regions: int) -> Json:
    return next(point for point in found["points"] if point["regions"] == regions)


def _networks(numbers: Json) -> Iterator[Compared]:
    """Yield what the trained flows have: effective parameters, and a and b."""
    last = numbers["flows"][0]["points"][-1]
    count = last["regions"]
    k = {
        key: [shown((count - 1) * last[key][name]) for name in ("inverse", "low", "high")]
        for key in ("scatter", "distance")
    }
    said = [f"{value} ({low} to {high}) by {key}" for key, (value, low, high) in k.items()]
    published = ", ".join(f"{1.0 / a:.0f} ({name})" for name, a, *_ in PUBLISHED.values())
    yield Compared(
        "donut, a trained network: effective parameters",
        f"1/a = {published} ([A])",
        f"spline flows, (N_Q − 1)/G at {count} regions: {', '.join(said)}",
        "another network and other regions: the number still grows with them, and is of the size "
        "of AdamMCMC's",
    )
    counts = [p["regions"] for p in numbers["flows"][0]["points"] if p["regions"] >= FIRST]
    known = power_law(counts, [_at(series_of(numbers, 83)[0], n)["exact"] for n in counts])
    a, b = flow_law(numbers, 0)
    yield Compared(
        f"the same: a; b, {counts[0]} to {counts[-1]} regions",
        " and ".join(f"{a}; {b}" for _, a, _, b, _ in PUBLISHED.values()) + " ([A])",
        f"{_with(a)}; {_with(b)}",
        f"other regions: over these the density of 83 coefficients has {shown(known[0])}; "
        f"{shown(known[1])} exactly, as the line begins where regions outnumber coefficients",
    )


def _estimator(numbers: Json) -> Iterator[Compared]:
    """Yield how far the published averaging estimate is from known answers."""
    count = numbers["series"][0]["points"][-1]["regions"]
    for size in PUBLISHED:
        runs = [each["points"][-1] for each in series_of(numbers, size)]
        yield Compared(
            f"sum of μ²/σ² over the exact G: {size} coefficients, {count} regions",
            "taken as G ([A], its code)",
            _with(mean_interval([point["published"] / point["exact"] for point in runs])),
            "1000 points in a region are noise in σ² that is not taken out (down by "
            f"{percent(_cap(runs[0], numbers), 0)}), and a mean over regions of 1/σ² from "
            f"{numbers['plan']['draws']} draws is no 1/mean (up)",
        )
    ratio = [each["100"]["published"] / exact_camel_gain(100) for each in numbers["camel"]]
    yield Compared(
        "the same: camel, five parameters, 100 regions",
        "taken as G ([A], its code)",
        _with(mean_interval(ratio)),
        "a mean of 1/σ² over regions is led by those that happen to be known well; the pooled "
        "estimate in the camel's table has no such bias",
    )


def _cap(point: Json, numbers: Json) -> float:
    """Return by what the equivalent events fall if so many points per region are left in."""
    equivalent = point["exact"] * numbers["plan"]["n_train"] / point["regions"]
    return float(1.0 - 1.0 / (1.0 + equivalent / numbers["plan"]["per_region"]))


def _others(numbers: Json) -> Iterator[Compared]:
    """Yield the KS distance of small samples, and the parabola."""
    n, m, mean, error = numbers["kolmogorov"][0]["rows"][0]
    yield Compared(
        f"mean KS over √(1/n + 1/m), n = m = {n}",
        f"{_KS:.4f} ([V] eq. 37)",
        f"{shown(mean)} ({between(mean - 2 * error, mean + 2 * error)})",
        "eq. 37 is the limit of many events; step functions of fifty miss part of the distance",
    )
    level = numbers["parabola"][0]["levels"][1]
    yield Compared(
        "parabola of 10 points: error of the lowest point over that of the fit",
        "“significantly better” ([V] Fig. 4, no number)",
        f"{_ratio(level['lowest'], level['fit'])}, noise {level['noise']}",
        "agrees",
    )
    yield Compared(
        "the same: error of a fit to 200 generated points over that of the fit to the data",
        "no improvement expected ([V] section 6.3)",
        _ratio(level["again"], level["fit"]),
        "agrees",
    )


def _ratio(above: Sequence[float], below: Sequence[float]) -> str:
    ratio = above[0] / below[0]
    half = 2.0 * ratio * math.hypot(above[1] / above[0], below[1] / below[0])
    return f"{shown(ratio)} ({between(ratio - half, ratio + half)})"


def _donut(numbers: Json) -> str:
    sides = [(p["regions"], p) for p in series_of(numbers, 233)[0]["points"]]
    rows = []
    for place, (regions, _) in enumerate(sides):
        cells = [str(regions)]
        for size in (83, 233):
            points = [each["points"][place] for each in series_of(numbers, size)]
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
        "form.  G is near 1 while regions are fewer than K, and (N_Q − 1)/K when they are many "
        "more: **a is one over the number of coefficients, and b is 1, for every smooth "
        "generator**.  The fit says how many degrees of freedom were trained, and nothing more.\n\n"
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
        + "\n\nThe scatter is blind to what all flows share, such as events inside of the edge; "
        f"the distance is not.  At {flow[0]['points'][-1]['regions']} regions "
        f"{percent(flow[0]['points'][-1]['common'], 0)} of the squared distance are common to all."
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
        + "\n\nThe energy distance has one coarse resolution, with few effective dimensions: six "
        "trainings do not tell the fit from the memoriser.  One KS distance resolves almost "
        "nothing: [V] section 6.2 says so of large G, and it holds of all.  That is why these "
        "pages give regions first."
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
        "In few dimensions a kernel density of a thin shell is mostly bias: its members agree with "
        "each other and not with the truth, so that averaging says far too much.  In many, 64 "
        "boxes see little of a wrong radius, which the energy distance and the classifier see: no "
        "G without its resolution.  The classifier finds copies that no region shows; its limit "
        "holds for the memoriser, far below its G of 1."
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
            f"{percent(int(k) / count, 0)} ({percent(end[0], 0)} to {percent(end[1], 0)})"
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
        f"A classifier's score, in both coordinates, says of that flow that G is above "
        f"{shown(score['above'])} at 95 %, and of the truth in its place above "
        f"{shown(other['above'])}: half of 20 000 held-out events to learn from and half to "
        f"score, against {numbers['plan']['n_train']} of the training, can say no more."
    )


def _parabola(numbers: Json) -> str:
    levels = numbers["parabola"][0]["levels"]
    rows = [
        [
            shown(each["noise"]),
            *(f"{shown(value)} ± {shown(error, 2)}" if value > 1e-9 else "exact" for value, error in
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
        "points that would replace the fit is not a number of equivalent events.  A fit to what "
        "was generated from the fit adds the generated points' own noise: the knowledge is used "
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
