"""Words and figures of the study of metrics on examples."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from published._failures import METRICS
from published.registry import Compared, Json, comparison, percent, shown, table
from verisimile.report import style
from verisimile.stats.intervals import clopper_pearson

_COLUMNS = (*(each.name for each in METRICS), "memorisation")
_BALLS = ("precision", "recall", "density", "coverage")
_OF_MODELS = (
    "model",
    "mean log-likelihood",
    "exact",
    "bits per dimension",
    "distance of its draws from the truth's mean",
)
_HALF = 0.5
_LEVEL = 0.95


def words(numbers: Json) -> str:
    """Return the page."""
    f, pairs = numbers["failures"], numbers["failures"]["pairs"]
    half = " and ".join(shown(each, 2) for each in clopper_pearson(pairs // 2, pairs, level=_LEVEL))
    none = shown(clopper_pearson(0, pairs, level=_LEVEL)[1], 2)
    narrow = _mean(numbers["balls"]["scenarios"]["collapsed"]["density"])
    few = " and ".join(
        name for name in _COLUMNS if f["rows"]["modes 2 : 1"][name]["worse"][0] > _HALF
    )
    median = {name: shown(each[1]) for name, each in f["perfect"].items()}
    return f"""The source has three listings, whose outputs it does not print, and claims without
numbers.  So the claims are compared, by sentence.  It speaks of images; here are **stand-ins in two
dimensions** on a ring of eight discs: discs for modes, the sharp edge of a disc for sharpness, the
number of discs for structure.  What the features of a network do to a metric is not in them.

{comparison(_compared(numbers))}

## What each metric sees of each failure

{f["n"]} generated against {f["n"]} true events, k = {f["neighbours"]}.  Share of {f["pairs"]} pairs
in which the metric is **worse** than that of {f["null"]} perfect generators at 5 %, one-sided, by
rank.  In brackets, if above one half: the share in which it is *better* than a perfect one at 5 %.
With {pairs} pairs a share of one half is known to lie between {half}, a share of 0 below {none}
(95 %, Clopper–Pearson).  All shares of a column
have the same perfect generators in common.

{table(("failure", *_COLUMNS), _shares(f["rows"]))}

![Shares of pairs in which a metric is worse](figures/metrics-on-examples-seen.png)

Energy distance and the alarm of
[memorisation](../amplification-differential.md#the-memorisation-alarm) (its own level, 0.01) are
not of the source.  IS is by the probabilities of the eight true discs, FID and KID are of
coordinates in units of the truth's spread.

{table(("failure", *(each.name for each in METRICS)), _values(f["rows"]))}

Means over pairs ± their errors.  A perfect generator has a precision of {median["precision"]}, a
coverage of {median["coverage"]} and a FID of {median["FID"]} (medians), not 1, 1 and 0: the numbers
mean something beside these only.

- **No metric sees every failure**, as the source says; its advice to report several is borne out.
  **No metric that it lists sees a memoriser** whose copies are not repeated: the perfect sample
  and the training sample have one law.  {_seen_by_alarm(f["rows"])}
- **FID and KID look at moments.**  {_blind(f["rows"])}
- **Density goes up where a law gets narrow** ({narrow} in the listing's second scenario below), as
  if the sample were better than perfect: read it as something that should be near one.
- Precision sees what lies outside of the discs, recall and coverage what is missing inside; unequal
  proportions are seen by {few} at this size.

## The listings

Likelihood, 1 000 events of N((1, 1), 0.1) under three models:

{table(_OF_MODELS, _likelihoods(numbers["likelihood"]))}

A model that draws noise (width 10) in 99 of 100 events, and the truth in one, loses at most
log 100 = {shown(float(np.log(100.0)))} nats:

{table(("features", "loss, nats", "loss, bits per dimension"), _noises(numbers["noise"]))}

Inception score of the listing's tables, 1 000 rows of ten classes:

{table(("table", "of all rows", "exact", "ten splits"), _scores(numbers["inception"]))}

Balls: 200 events a side in ten dimensions, k = 3; means of {numbers["balls"]["repeats"]} draws
± their errors:

{table(("scenario", *_BALLS), _balls(numbers["balls"]["scenarios"]))}

A perfect generator has an expected density of 1 and an expected coverage of
{shown(numbers["balls"]["coverage"])}, in any dimension.

## FID and the number of events

![Fréchet distances against the number of events](figures/metrics-on-examples-bias.png)

Five Gaussian features, 95 % intervals.  Plain distances lie **above** the true ones, by what theory
says; extrapolated ones, whose error is larger, lie about them.

## What this cannot say

- Stand-ins have no perception: that sharp structure matters more to the eye than low frequencies
  needs people ([ratings](../human.md)) or a network's features.
- One number of events and one strength of each failure.  A metric that is blind here may see the
  same failure with more events, if its expectation changes at all.
- Scores of images (clean FID, CLIP features) differ in the features, which this package takes from
  outside: [features of your own](../frechet-and-support.md).
"""


def _compared(numbers: Json) -> Iterable[Compared]:
    rows, balls = numbers["failures"]["rows"], numbers["balls"]["scenarios"]
    like, bias = numbers["likelihood"], numbers["bias"]
    above = like["A"]["log_likelihood"][0] - like["C"]["log_likelihood"][0]
    step, whole = numbers["triangle"]["step"], numbers["triangle"]["whole"]

    def seen(failure: str, *metrics: str) -> str:
        return ", ".join(f"{m} {_percent(rows[failure][m]['worse'])}" for m in metrics)

    def p_r(name: str) -> str:
        found = balls[name]
        return f"P {_mean(found['precision'])}, R {_mean(found['recall'])}"

    yield Compared(
        "likelihood, model B against A and C",
        '"Model B has better likelihood and sample quality"',
        "; ".join(f"{name} {_mean(each['log_likelihood'])}" for name, each in like.items()),
        "agrees",
    )
    yield Compared(
        "wide model A",
        '"high-variance models can sometimes have deceptively okay likelihood"',
        f"A is {shown(above)} nats above C, its draws {shown(like['A']['distance'][0])} from the "
        "truth's mean on average",
        "agrees",
    )
    yield Compared(
        "bits per dimension",
        "the equation is a sum over events, the listing a mean",
        f"B {_mean(like['B']['bits'])} bits",
        "The equation lacks 1/n, and gives 1 000 times as much for the listing's 1 000 events.",
    )
    yield Compared(
        "high likelihood, bad samples",
        '"high likelihood does not guarantee good samples"',
        f"99 % noise costs {_mean(numbers['noise'][-1]['bits'])} bits per dimension with "
        f"{numbers['noise'][-1]['features']} features",
        "agrees",
    )
    yield Compared(
        "Inception score, confident and diverse",
        '"high IS"; at most the number of classes',
        f"{shown(numbers['inception']['confident, diverse']['whole'])} of 10",
        "agrees",
    )
    yield Compared(
        "Inception score, one class, or uncertain",
        "low",
        f"{shown(numbers['inception']['one class']['whole'])}, "
        f"{shown(numbers['inception']['uncertain']['whole'])}",
        "agrees",
    )
    yield Compared(
        "balls, good model",
        "precision and recall high",
        p_r("good"),
        "With 200 events in ten dimensions even the truth's own events often lie outside of the "
        "balls: without the value of a perfect generator these numbers cannot be read.",
    )
    yield Compared("balls, too narrow", "high P, low R", p_r("collapsed"), "agrees")
    yield Compared("balls, too wide", "low P, high R", p_r("too diverse"), "agrees")
    yield Compared("balls, shifted", "low P, low R", p_r("shifted"), "agrees")
    yield Compared(
        "coverage for mode collapse",
        '"especially for mode collapse diagnosis"',
        f"too narrow: {_mean(balls['collapsed']['coverage'])} (perfect "
        f"{shown(numbers['balls']['coverage'])}); every other mode: "
        f"{seen('every other mode', 'coverage')}",
        "It sees lost modes, and not a narrow law in ten dimensions, whose events lie inside the "
        "balls of many true ones.",
    )
    yield Compared(
        "mode collapse",
        '"FID: better mode collapse detection" than IS',
        "every other mode: "
        + seen("every other mode", "IS", "FID", "KID")
        + "; four adjacent: "
        + seen("four adjacent modes", "IS", "FID"),
        "Losing every other disc of a ring leaves mean and covariance as they are, and FID sees "
        "nothing else; IS sees how many classes there are.",
    )
    yield Compared(
        "collapse within modes",
        '"IS can be high despite severe mode collapse"',
        f"one event a mode: IS {_mean(rows['one event a mode']['IS']['mean'])} of 8; "
        + seen("one event a mode", "IS", "recall"),
        "agrees",
    )
    yield Compared(
        "wrong proportions",
        "IS ignores the real distribution",
        seen("modes 2 : 1", "IS", "FID", "coverage", "energy"),
        "IS sees unequal classes here because the truth's are equal; with unequal true classes it "
        "would prefer the wrong ones.",
    )
    yield Compared(
        "memorisation",
        '"perfect sample quality but zero diversity"',
        seen("memorised", "precision", "recall", "coverage", "FID", "memorisation"),
        "All of the training sample without repetition is as diverse as the truth: recall compares "
        "with true events, and not with which of them were trained on.",
    )
    yield Compared(
        "uniform noise",
        '"zero realism", maximal diversity',
        f"P {_mean(rows['uniform noise']['precision']['mean'])}, "
        f"R {_mean(rows['uniform noise']['recall']['mean'])}",
        "Realism is not zero: some of the square is inside of discs, and events outside can be in "
        "a ball that reaches over a disc's edge.",
    )
    yield Compared(
        "FID with few events",
        '"biased with small sample sizes (underestimates true FID)"',
        f"true 0: {_mean(bias[0]['plain'])} with {bias[0]['n']} events (predicted "
        f"{shown(bias[0]['predicted'])}), {_mean(bias[3]['plain'])} with {bias[3]['n']}",
        "The sign is wrong: means and covariances of finite samples differ even for one law, which "
        "adds a positive term in 1/n.",
    )
    yield Compared(
        "KID",
        '"unbiased with any sample size"',
        f"true 0: {_mean(bias[0]['kernel'])} with {bias[0]['n']} events",
        "agrees",
    )
    yield Compared(
        "triangle inequality",
        '"FID doesn\'t satisfy triangle inequality"',
        f"N(0), N(1), N(2): {shown(whole)} against {shown(step)} + {shown(step)}; roots "
        f"{shown(whole**0.5)} against {shown(step**0.5)} + {shown(step**0.5)}",
        "It is so for the square that FID is; its root is a metric of Gaussians, and passes.",
    )


def _percent(share: list[float]) -> str:
    return f"{percent(share[0], 0)} ({100 * share[1]:.0f} to {100 * share[2]:.0f})"


def _mean(pair: list[float]) -> str:
    value, error = pair
    if error < 5e-7:
        return shown(value)
    decimals = max(0, 1 - int(np.floor(np.log10(error))))
    value = round(value, decimals) + 0.0  # no minus before a zero
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def _shares(rows: Json) -> Iterable[list[str]]:
    for failure, row in rows.items():
        line = [failure]
        for name in _COLUMNS:
            worse, better = row[name]["worse"][0], row[name].get("better", [0.0])[0]
            text = f"**{worse:.2f}**" if worse > _HALF else f"{worse:.2f}"
            line.append(f"{text} ({better:.2f})" if better > _HALF else text)
        yield line


def _values(rows: Json) -> Iterable[list[str]]:
    for failure, row in rows.items():
        yield [failure, *(_mean(row[each.name]["mean"]) for each in METRICS)]


def _seen_by_alarm(rows: Json) -> str:
    exact, near = (
        rows[name]["memorisation"]["worse"] for name in ("memorised", "memorised, jittered")
    )
    return (
        f"The alarm does, in {_percent(exact)}, and with jitter in {_percent(near)} of the pairs."
    )


def _blind(rows: Json) -> str:
    names = [
        name
        for name, row in rows.items()
        if name != "perfect" and max(row[m]["worse"][0] for m in ("FID", "KID")) <= _HALF
    ]
    return "They see in at most half of the pairs: " + "; ".join(names) + "."


def _likelihoods(found: Json) -> Iterable[list[str]]:
    for name, each in found.items():
        yield [
            name,
            _mean(each["log_likelihood"]),
            shown(each["exact"], 4),
            _mean(each["bits"]),
            _mean(each["distance"]),
        ]


def _noises(found: list[Json]) -> Iterable[list[str]]:
    for each in found:
        yield [str(each["features"]), _mean(each["nats"]), _mean(each["bits"])]


def _scores(found: Json) -> Iterable[list[str]]:
    for name, each in found.items():
        yield [name, shown(each["whole"]), shown(each["exact"]), _mean(each["splits"])]


def _balls(found: Json) -> Iterable[list[str]]:
    for name, each in found.items():
        yield [name, *(_mean(each[m]) for m in _BALLS)]


def takeaway(numbers: Json) -> str:
    """Return the line of the table of studies."""
    rows = numbers["failures"]["rows"]
    return (
        f"no metric sees every failure; FID sees every other mode lost in "
        f"{percent(rows['every other mode']['FID']['worse'][0], 0)} of pairs, a memoriser in "
        f"{percent(rows['memorised']['FID']['worse'][0], 0)}; its bias is positive, not as taught"
    )


def seen(numbers: Json, figure: Figure) -> None:
    """Draw the table of shares."""
    rows = numbers["failures"]["rows"]
    shares = np.array([[row[name]["worse"][0] for name in _COLUMNS] for row in rows.values()])
    axes = figure.add_subplot()
    colours = LinearSegmentedColormap.from_list("seen", ["#FFFFFF", style.REFERENCE])
    image = axes.imshow(shares, cmap=colours, vmin=0.0, vmax=1.0, aspect="auto")
    axes.set_xticks(range(len(_COLUMNS)), _COLUMNS, rotation=30, ha="right")
    axes.set_yticks(range(len(rows)), list(rows))
    axes.tick_params(length=0, top=False, right=False)
    for (i, j), share in np.ndenumerate(shares):
        colour = "white" if share > _HALF else style.DATA
        axes.text(j, i, f"{share:.2f}", ha="center", va="center", color=colour, fontsize=8)
    figure.colorbar(image, ax=axes, label="share of pairs, worse at 5 %")


def bias(numbers: Json, figure: Figure) -> None:
    """Draw distances against the number of events."""
    for place, true in enumerate(sorted({each["true"] for each in numbers["bias"]})):
        axes = figure.add_subplot(1, 2, place + 1)
        rows = [each for each in numbers["bias"] if each["true"] == true]
        n = np.array([row["n"] for row in rows])
        axes.axhline(true, color=style.MUTED, lw=1.0, label="true")
        axes.plot(
            n,
            [true + row["predicted"] for row in rows],
            color=style.MUTED,
            ls=":",
            label="true + predicted bias",
        )
        marks = (("plain", style.ALTERNATIVE, 0.97), ("extrapolated", style.REFERENCE, 1.03))
        for name, colour, shift in marks:
            value, error = np.array([row[name] for row in rows]).T
            axes.errorbar(n * shift, value, 1.96 * error, fmt="o", ms=4, color=colour, label=name)
        axes.set_xscale("log")
        axes.set_xticks(n, [str(each) for each in n])
        axes.minorticks_off()
        axes.set_xlabel("events in each sample")
        axes.set_ylabel("squared Fréchet distance")
        axes.set_title(f"true distance {true:.2g}", fontsize=9.5)
        if place == 0:
            axes.legend(frameon=False, fontsize=8)
