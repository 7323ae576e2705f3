"""Words and figures of the study of data size on the ring."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from matplotlib.figure import Figure

from published.registry import Compared, Json, between, comparison, percent, shown, table
from verisimile.report import style

# Morales et al., section 4 (text), and areas of the curves that it publishes at depth 4 and 10 000
# training events: mean and standard deviation of thirty trainings.
_SIGNIFICANT = 0.442
_AREA = (0.976, 0.016)
_AREA_SMALLER = (0.964, 0.023)
_STEPS, _STEPS_SMALLER = "300 020", "200 020"  # 15 001 and 10 001 epochs of twenty batches
# The same paired t-test on the published curves of depths 4 and 2, as listed, and 5 and 95 % over
# other pairings of the same curves.
_STORED = 0.525
_STORED_PAIRINGS = (0.29, 0.63)
_ALPHA = 0.05


def words(numbers: Json) -> str:
    """Return the page."""
    cells, trends, pair = numbers["cells"], numbers["trends"], numbers["pair"]
    tests = pair["areas"]
    sizes, control, other = cells[:-2], cells[-2], cells[-1]
    first, last = sizes[0], sizes[-1]
    return f"""The publication trains thirty networks of one depth on each of four data sets of
20, 15, 10 and 5 thousand events, half of each for validation, and shows bands of
[precision–recall curves](../precision-recall.md) in a figure; numbers it gives none.  Its thirty
networks share **one** training sample of each size.  [Depth](../ring-study.md) is another page.

{comparison(_compared(numbers))}

## What is done here

Networks, noise and sampler are those of [the ring study](../ring-study.md).  Of each size there
are {first["samples"]} training samples, with {first["initialisations"]} networks on each, trained
as one batched job with batches of {first["batch"]} (chosen after draws of first networks, trained
with batches of 50, had been looked at, and before any comparison of sizes).  **All sizes get
{first["steps"]} steps**, with a step size that falls along half a cosine: a reduced training that
had as many *epochs* for all would give a quarter of the steps to a quarter of the events.
The control, {control["events"]}
events and {control["steps"]} steps, shows what that alone does.  Each network draws
{first["draws"]} events; {_missed(cells)}.

## Areas

Published score: pooled neighbours, thresholds of the counted events.  Bound: thresholds and score
(boosted trees of columns and distances) of other events; **any held-out curve is an upper bound**
of the true one, so these areas say how bad a network is *at least*, and do not praise it.

{table(_HEAD, _rows(numbers))}

Mean area of the networks, standard deviation, smallest area, mean width over recall of the band
from 10 to 90 %, mean area of bounds, then for one network, of median bound, the best of nine scores
and the 95 % interval of its true area.

![Areas of all networks](figures/ring-data-size-areas.png)

## Is there a trend?

Change for each doubling of the training sample, over training samples as units (networks of one
sample share its fluctuations), 95 % intervals, p by relabeling samples:

{table(_TRENDS, _trend_rows(trends))}

- **Mean.** {_mean_says(trends)}
- **Spread.** {_spread_says(trends, first)}
- **Length of training.** With a quarter of the steps, {last["events"]} events give a mean area of
  {_area(control)} in the place of {_area(last)}: {_length_says(numbers)}
- **Whose spread?** Within a cell the variance of areas is {_parts(numbers["parts"])}.  A band of
  networks that share one training sample has none of the first part in it, whatever its size.

## The paired t-test

The publication takes thirty curves of one depth and thirty of another, pairs them **by their number
in the list**, makes a t-test of precision at each of a thousand recalls, and reports the share of
recalls with p < 0.05.  Which two depths is lost in the text at hand; 4 and 2 are the likely ones.

What such a test tests: that the *mean* difference of precision at one recall is zero, for these
reference events and this training sample.  It says nothing about the spread, which is what the
publication is about; member i of one list has no partner in the other, so that another order of
the same curves gives another number; a thousand tests are not one; and the share of recalls below
0.05 is not a probability of anything.  On depths {first["depth"]} and {other["depth"]} here,
{len(first["areas"])} curves each, {first["events"]} events:

{table(("", "value"), _pair_rows(pair))}

![The share of recalls called significant](figures/ring-data-size-pair.png)

{_pair_says(pair)}  Pairs of *areas* have the same fault: as listed p = {shown(tests["listed"])},
with other pairings of the same areas {between(*tests["pairings"])} (5 to 95 %), without pairs
(Welch) {shown(tests["welch"])}.  The only pairing with a meaning here is by training sample,
{tests["samples"]} pairs of means: p = {shown(tests["by_sample"])}.

## What this cannot say

- Networks of {first["steps"]} steps are far from the published 75 000 to 300 000: those have time
  to fit their sample too closely, which is where few events would hurt.  `--size full` trains so
  (it wants a GPU, and was not run).
- {len(first["areas"])} networks of a size: a ratio of standard deviations is known to a factor.
- Areas fall, too, with fewer events that *count*: compare within this page, not with areas from
  10 000 events.  A perfect generator has {_perfect(numbers)} here.
- Max-T relabels curves as if independent; both depths have the same training samples, which makes
  it reject less often than 5 %.

Training and draws took {numbers["training_minutes"]:.1f} minutes of CPU, which may have been in an
earlier, interrupted run, and then are not in the time below.
"""


_TRENDS = ("", "mean area", "p", "distance from the median", "p", "sd, fewest over most events")
_HEAD = (
    "training events",
    "depth",
    "steps",
    "published score",
    "sd",
    "smallest",
    "width",
    "bound",
    "best of nine, median network",
)


def _compared(numbers: Json) -> Iterable[Compared]:
    cells, pair, trends = numbers["cells"], numbers["pair"], numbers["trends"]["published"]
    first = cells[0]
    for cell, (mean, sd), steps in (
        (first, _AREA, _STEPS),
        (cells[-1], _AREA_SMALLER, _STEPS_SMALLER),
    ):
        yield Compared(
            f"area, depth {cell['depth']}, {cell['events']} training events",
            f"{mean} ± {sd} (sd of 30; from the published curves)",
            f"{_area(cell)} ± {shown(_sd(cell), 2)} (sd of {len(cell['areas'])})",
            f"Networks here have had {cell['steps']} steps and not {steps}, and {cell['draws']} "
            "events count and not 10 000.",
        )
    yield Compared(
        "area with fewer events",
        '"decreases consistently" (section 4, figure 4)',
        f"{_slope(trends['area'])} for each doubling, p = {shown(trends['area']['p'])}",
        _fewer_fit_worse(trends["area"]),
    )
    yield Compared(
        "width of the band with fewer events",
        '"wider confidence intervals" (section 4, figure 4)',
        f"sd × {_ratio(trends['ratio'])} from {first['events']} to {cells[-3]['events']} events, "
        f"p of a trend {shown(trends['spread']['p'])}",
        _fewer_scatter_more(trends["spread"]),
    )
    yield Compared(
        "share of recalls with paired p < 0.05, better at depth 4",
        f"{percent(_SIGNIFICANT)} (section 4, figure 3); {percent(_STORED)} of its stored curves, "
        f"{percent(_STORED_PAIRINGS[0], 0)} to {percent(_STORED_PAIRINGS[1], 0)} by pairing",
        f"{percent(pair['better'])}; {percent(pair['pairings'][0], 0)} to "
        f"{percent(pair['pairings'][1], 0)} by pairing",
        "The number depends on the order of the lists, and these networks have not converged.",
    )
    yield Compared(
        "share of the curve, family-wise error 5 %",
        "not given; 0 % from its stored curves (p = 0.072)",
        f"{percent(pair['familywise'], 0)} (p = {shown(pair['p'])})",
        "Other networks: the same test, of {} curves a side and shorter trainings.".format(
            len(first["areas"])
        ),
    )


def _fewer_fit_worse(line: Json) -> str:
    if line["low"] > 0.0:
        return "agrees"
    if line["high"] < 0.0:
        return "Areas grow with fewer events here, which few steps, alike for all sizes, can do."
    return (
        "With as many steps for all sizes, and networks that are still learning, the number of "
        "events has no effect that these trainings can see; the control shows what steps do."
    )


def _fewer_scatter_more(line: Json) -> str:
    if line["high"] < 0.0:
        return "agrees"
    if line["low"] > 0.0:
        return "The spread grows with more events here: it is that of unfinished training."
    return (
        "The interval holds both no change and a large one: few trainings, and short ones, whose "
        "spread is that of unfinished training."
    )


def _sd(cell: Json) -> float:
    return float(np.std(cell["areas"], ddof=1))


def _area(cell: Json) -> str:
    return f"{np.mean(cell['areas']):.3f}"


def _slope(line: Json) -> str:
    return f"{line['slope']:+.4f} ({line['low']:+.4f} to {line['high']:+.4f})"


def _ratio(ratio: list[float]) -> str:
    return f"{ratio[0]:.2f} ({ratio[1]:.2f} to {ratio[2]:.2f})"


def _missed(cells: list[Json]) -> str:
    missed = max(cell["missed"] for cell in cells)
    if missed == 0.0:
        return "none was not finite, which would count as a miss"
    return f"up to {percent(missed, 2)} of a network's were not finite and count as misses"


def _rows(numbers: Json) -> Iterable[list[str]]:
    for cell in numbers["cells"]:
        best = cell["best"]
        yield [
            str(cell["events"]),
            str(cell["depth"]),
            str(cell["steps"]),
            _area(cell),
            f"{_sd(cell):.3f}",
            f"{min(cell['areas']):.3f}",
            f"{cell['width']:.3f}",
            f"{np.mean(cell['bounds']):.3f}",
            f"{best['area']:.3f} ({best['interval'][0]:.2f} to {best['interval'][1]:.2f})"
            if best
            else "not traced",
        ]
    perfect = numbers["perfect"]
    yield [
        "a perfect generator",
        "",
        "",
        f"{np.mean(perfect['published']):.3f}",
        f"{np.std(perfect['published'], ddof=1):.3f}",
        f"{min(perfect['published']):.3f}",
        "",
        f"{np.mean(perfect['bound']):.3f}",
        "1 (exact)",
    ]


def _perfect(numbers: Json) -> str:
    areas = numbers["perfect"]["published"]
    return f"{np.mean(areas):.3f} ± {np.std(areas, ddof=1):.3f} by the published score"


def _trend_rows(trends: Json) -> Iterable[list[str]]:
    for name, label in (("published", "published score"), ("bound", "bound")):
        found = trends[name]
        yield [
            label,
            _slope(found["area"]),
            shown(found["area"]["p"]),
            _slope(found["spread"]),
            shown(found["spread"]["p"]),
            _ratio(found["ratio"]),
        ]


def _mean_says(trends: Json) -> str:
    seen = {name: trends[name]["area"]["p"] <= _ALPHA for name in ("published", "bound")}
    if not any(seen.values()):
        return "No trend is seen by either score.  The intervals say how large it may be."
    if all(seen.values()):
        up = all(trends[name]["area"]["slope"] > 0.0 for name in seen)
        return "Both scores see " + ("more" if up else "less") + " area with more events."
    (name,) = (name for name, one in seen.items() if one)
    return f"A trend is seen by the {name} score alone; two tests were made."


def _spread_says(trends: Json, first: Json) -> str:
    seen = [trends[name]["spread"]["p"] <= _ALPHA for name in ("published", "bound")]
    told = "A trend of the spread is seen." if any(seen) else "No trend of the spread is seen."
    return (
        f"{told}  The ratio's interval (Fisher's, for normal independent areas) shows what "
        f"{len(first['areas'])} networks of a size can say."
    )


def _length_says(numbers: Json) -> str:
    cells, line = numbers["cells"], numbers["steps"]["published"]
    means = [float(np.mean(cell["areas"])) for cell in cells[:-2]]
    drop = means[-1] - float(np.mean(cells[-2]["areas"]))
    return (
        f"a drop of {drop:.3f}, where the means of the four sizes lie within "
        f"{max(means) - min(means):.3f} of each other.  Equal epochs would have shown "
        f"{_slope(line)} for each doubling (p = {shown(line['p'])}): a comparison at "
        "equal epochs is one of sizes only if all have converged."
    )


def _parts(parts: Json) -> str:
    sample, rest = parts["training sample"], parts["rest"]
    return (
        f"{shown(sample[0], 2)} ± {shown(sample[1], 1)} of the training sample (negative by "
        f"fluctuation if at all), and {shown(rest[0], 2)} ± {shown(rest[1], 1)} of all else, of "
        f"which {shown(parts['evaluation'], 2)} is of finite draws"
    )


def _pair_rows(pair: Json) -> Iterable[list[str]]:
    yield ["paired t-tests, as listed: share of recalls with p < 0.05", percent(pair["fraction"])]
    yield [
        "the same for other pairings of the same curves, 5 to 95 %",
        f"{percent(pair['pairings'][0])} to {percent(pair['pairings'][1])}",
    ]
    yield [
        f"the same for curves with random labels ({pair['relabelings']}): median, 95 % quantile",
        f"{percent(pair['null'][0])}, {percent(pair['null'][1])}",
    ]
    yield ["p of the share itself, by these labels", shown(pair["fraction_p"])]
    yield ["max-T over the whole curve: p", shown(pair["p"])]
    yield ["share of angles, family-wise error 5 %", percent(pair["familywise"])]
    yield ["share of angles, false-discovery rate 5 %", percent(pair["discovered"])]
    yield [
        "difference of mean areas, 95 % interval, p by relabeling",
        f"{pair['area'][0]:+.3f} ({pair['area'][1]:+.3f} to {pair['area'][2]:+.3f}), "
        f"{shown(pair['area_p'])}",
    ]


def _pair_says(pair: Json) -> str:
    enough = pair["null"][1] < _SIGNIFICANT
    return (
        f"Random labels make more than {percent(pair['null'][1], 0)} of the recalls "
        f'"significant" in one comparison of twenty: {percent(_SIGNIFICANT)} would be '
        + ("rare" if enough else "nothing rare")
        + f" there.  The test that holds its level says p = {shown(pair['p'])}."
    )


def takeaway(numbers: Json) -> str:
    """Return the line of the table of studies."""
    line, pair = numbers["trends"]["published"]["area"], numbers["pair"]
    return (
        f"area {line['slope']:+.3f} ({line['low']:+.3f} to {line['high']:+.3f}) for each doubling "
        "of the sample at equal steps; the paired t-test calls "
        f"{percent(pair['pairings'][0], 0)} to {percent(pair['pairings'][1], 0)} of a curve "
        "significant, by the order of the list"
    )


def areas(numbers: Json, figure: Figure) -> None:
    """Draw the areas of all networks, by the published score and as bounds."""
    cells = numbers["cells"]
    sides = (("areas", "published", "published score"), ("bounds", "bound", "held-out upper bound"))
    for place, (key, perfect, title) in enumerate(sides):
        axes = figure.add_subplot(1, 2, place + 1)
        known = numbers["perfect"][perfect]
        axes.axhspan(min(known), max(known), color=style.BAND_2, lw=0)
        axes.text(
            0.02,
            min(known) - 0.01,
            "perfect",
            va="top",
            fontsize=8,
            color=style.MUTED,
            transform=axes.get_yaxis_transform(),
        )
        for i, cell in enumerate(cells):
            colour = style.REFERENCE if i < len(cells) - 2 else style.ALTERNATIVE
            values = np.array(cell[key])
            spots = i + 0.12 * (np.array(cell["sample_of"]) - 0.5 * (cell["samples"] - 1))
            axes.plot(spots, values, "o", ms=4, color=colour, alpha=0.7)
            axes.plot([i - 0.3, i + 0.3], [values.mean()] * 2, color=colour, lw=1.5)
        axes.set_xticks(range(len(cells)), [_tick(cell, cells) for cell in cells], fontsize=7.5)
        axes.set_xlabel("training events")
        axes.set_ylabel("area")
        axes.set_title(title, fontsize=9.5)


def _tick(cell: Json, cells: list[Json]) -> str:
    if cell is cells[-1]:
        return f"{cell['events']}\ndepth {cell['depth']}"
    if cell is cells[-2]:
        return f"{cell['events']}\n{cell['steps']} steps"
    return str(cell["events"])


def pair(numbers: Json, figure: Figure) -> None:
    """Draw the published number over pairings and over random labels."""
    found = numbers["pair"]
    axes = figure.add_subplot()
    bars = (
        ("random labels: up to 95 %", (0.0, found["null"][1]), style.MUTED),
        ("other pairings here, 5 to 95 %", tuple(found["pairings"]), style.REFERENCE),
        ("other pairings of the published curves", _STORED_PAIRINGS, style.ALTERNATIVE),
    )
    for place, (_, (low, high), colour) in enumerate(bars):
        axes.plot([low, high], [place, place], color=colour, lw=6, solid_capstyle="butt")
    axes.plot(found["fraction"], 1, "o", color=style.DATA, label="here, as listed")
    axes.plot(_STORED, 2, "s", color=style.DATA, label="published curves, as listed")
    axes.axvline(_SIGNIFICANT, color=style.DATA, ls=":", label="published number")
    axes.set_yticks(range(len(bars)), [name for name, *_ in bars])
    axes.set_ylim(-0.6, len(bars) - 0.4)
    axes.set_xlim(0.0, 1.0)
    axes.set_xlabel("share of recalls with paired p < 0.05")
    axes.legend(frameon=False, fontsize=8, loc="upper right")
