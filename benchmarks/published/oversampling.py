"""Samples of 1 to 10 times the training events: what tests see, and what such samples are worth."""

from __future__ import annotations

import numpy as np
from scipy import stats

import verisimile as vs
from camel_fits import EXACT_GAIN
from published.oversampling_figures import TITLES, rejections, worth, worth_of
from published.oversampling_work import (
    FACTORS,
    LEVEL,
    MEMBERS,
    PERMUTATIONS,
    REFERENCES,
    RESOLUTIONS,
    SHARE,
    TESTS,
    CamelFit,
    FlowEnsemble,
    predicted_rejection,
    quantile_worth,
    trained,
)
from published.registry import (
    Compared,
    Json,
    Size,
    Study,
    between,
    comparison,
    percent,
    shown,
    table,
)
from verisimile.core.arrays import Array
from verisimile.core.records import Record
from verisimile.stats.intervals import clopper_pearson

_HELD_OUT = 40_000  # Z events that train nothing
_RESAMPLED = 2000
_SIZES: dict[Size, dict[str, int]] = {
    "reduced": {"camel": 120, "gaussian": 12, "Z": 4},
    # The Z events that come with the package are not enough for more ensembles.
    "full": {"camel": 600, "gaussian": 284, "Z": 8},
}


def measure(run: vs.Run, size: Size) -> Json:
    """Return the numbers of all three generators."""
    repetitions = _SIZES[size]
    camel = CamelFit()
    fits = trained(run, camel, repetitions["camel"])
    found: Json = {
        "factors": list(FACTORS),
        "tests": list(TESTS),
        "permutations": PERMUTATIONS,
        "kinds": {"camel": _tested(fits, camel.n_train)},
        "chi2": _chi_squares(fits),
        "worth": _worth_of_samples(run, fits),
    }
    for kind in (FlowEnsemble("gaussian", 2000), FlowEnsemble("Z", 4000)):
        regions = kind.regions(_HELD_OUT)
        fits = trained(run, kind, repetitions[kind.name], _HELD_OUT, regions)
        found["kinds"][kind.name] = {
            **_tested(fits, kind.n_train),
            "measured": quantile_worth(run.at(kind.name), kind, fits, _HELD_OUT, regions),
            "claimed": {
                str(count): _mean(run, np.array([each.arrays["claims"][i] for each in fits]))
                for i, count in enumerate(RESOLUTIONS)
            },
        }
        if kind.name == "gaussian":
            found["moment"] = _moments(run, fits, kind.n_train)
    return found


def _tested(fits: list[Record], n_train: int) -> Json:
    p = np.array([each.arrays["p"] for each in fits])
    return {
        "n_train": n_train,
        "trainings": len(fits),
        "rejected": (p <= LEVEL).sum(axis=0).tolist(),
        "median p": np.median(p, axis=0).tolist(),
    }


def _chi_squares(fits: list[Record]) -> Json:
    values = np.array([each.arrays["chi2"] for each in fits])
    critical = stats.chi2.isf(LEVEL, RESOLUTIONS[-1] - 1)
    return {
        "trainings": len(fits),
        "rejected": (values > critical).sum(axis=0).tolist(),
        "predicted": [[predicted_rejection(k, k), predicted_rejection(k, 1.0)] for k in FACTORS],
    }


def _worth_of_samples(run: vs.Run, fits: list[Record]) -> Json:
    """Return n_train over the worth of a sample of the camel, measured, and as it must be."""
    inverse = np.array([each.arrays["distance"] for each in fits])
    return {
        str(count): {
            "exact gain": EXACT_GAIN[count],
            "measured": [_mean(run, inverse[:, i, j]) for j in range(len(FACTORS))],
        }
        for i, count in enumerate(RESOLUTIONS)
    }


def _moments(run: vs.Run, fits: list[Record], n_train: int) -> Json:
    """Return what the ensemble knows of the Gaussian's means, and how often that is right."""
    away = np.array([each.arrays["moment"] for each in fits])
    claims = np.array([each.arrays["moment claim"] for each in fits])
    covered = np.array([each.arrays["covered"] for each in fits])
    return {
        "measured": _mean(run, n_train * (away**2).mean(axis=1)),
        "claimed": _mean(run, n_train * claims.mean(axis=1)),
        "covered": covered.sum(axis=0).astype(int).tolist(),
        "of": len(fits),
    }


def _mean(run: vs.Run, values: Array) -> Json:
    """Return the mean over trainings, with the 95 % interval of the bootstrap."""
    rng = run.seeds.at("bootstrap").numpy()
    rows = rng.integers(len(values), size=(_RESAMPLED, len(values)))
    low, high = np.quantile(values[rows].mean(axis=1), [0.025, 0.975])
    return {"value": float(values.mean()), "low": float(low), "high": float(high)}


def words(found: Json) -> str:
    """Return the page."""
    return f"""{_sentence(found)}

## What was done

Generators that are trained on few events and sampled at {_factors(found)} times as many.

{_generator_table(found)}

The camel is $\\frac12 N(-4, 1) + \\frac12 N(4, 1)$; its five-parameter fit has a known
amplification.  Ensembles are {MEMBERS} spline flows, trained on bootstrap replicas of
{percent(SHARE, 0)} of the events; the others fit weights and discrepancy (`vs.fit_mixture`).

## What a sample is worth

The region contents of k n generated events scatter by counting, and share the error of the
generator, which no oversampling removes:

$$ \\frac{{1}}{{n_\\mathrm{{worth}}}} = \\frac{{1}}{{k\\, n_\\mathrm{{train}}}} +
   \\frac{{1}}{{G\\, n_\\mathrm{{train}}}} $$

For the camel everything is known: measured against the true contents, {_camel_trainings(found)}
trainings, as multiples of the training sample.

{_camel_table(found)}

Of the ensembles, 1/G at {RESOLUTIONS[0]} and {RESOLUTIONS[1]} regions is measured against true
events that nothing has seen (`vs.amplification.quantile_of_trainings`, 95 % interval), and claimed
by the mixture itself from the honest covariance of weights and discrepancy
(`vs.amplification.analytic`, mean over trainings):

{_gain_table(found)}

{_gain_words(found)}

![What samples are worth](figures/oversampling-worth.png)

## What a test sees

Rejections at 5 % ({found["permutations"]} permutations), exact 95 % intervals, against as many true
events as were *generated*, and as many as were *trained* on.

{_rejection_tables(found)}

Of the camel there is an exact answer too: chi-square of {RESOLUTIONS[-1]} regions of known content,
and the law that it must have, $T = \\sum_i (1 + \\lambda a_i) \\chi^2_{{1,i}}$ with
$1 / \\lambda = 1 / k + 1 / r$ for r training sizes of true events, and $a_i$ the share of what a
fit spends in direction i:

{_chi_table(found)}

![Rejections by oversampling, bars of 68 %](figures/oversampling-rejections.png)

So a test against a holdout of the size of the training sample cannot see much more at ten times
the training size than at one: {_saturation(found)}.  With as much truth as was generated it sees
more with every factor.  **Neither says what the sample is worth**: a pass at a factor k is no proof
of k times the events, and a rejection does not make the sample worth less than the training
sample.

## Beside the papers

{_comparison(found)}

## What this does not say

{_trainings(found, "gaussian")} ensembles of the Gaussian and {_trainings(found, "Z")} of the Z
events give wide intervals of rates.  The Z events of the package are few: tests of different
ensembles share true events, and their rates are less certain than the binomial interval says.
Regions are of one kind, equal contents; G of other questions differs, as the first moment shows."""


def _factors(found: Json) -> str:
    return ", ".join(f"{factor:g}" for factor in found["factors"])


def _trainings(found: Json, name: str) -> int:
    return int(found["kinds"][name]["trainings"])


def _camel_trainings(found: Json) -> int:
    return _trainings(found, "camel")


def _sentence(found: Json) -> str:
    """Say what ten times the training events are worth, with the interval."""
    most = found["factors"][-1]
    parts = []
    for name in ("gaussian", "Z"):
        kind = found["kinds"][name]
        cells = [worth_of(kind["measured"][str(count)], most) for count in RESOLUTIONS]
        n = kind["n_train"]
        parts.append(
            f"{n * most:.0f} events from {n} ({TITLES[name]}) are worth "
            + " and ".join(
                f"{n * value:.0f} true ones ({n * low:.0f} to {n * high:.0f}) in {count} regions"
                for count, (value, low, high) in zip(RESOLUTIONS, cells, strict=True)
            )
        )
    return (
        "**“More events than in training”** means: the generated sample has the counting noise of "
        "its own size, and all its events share one error, that of the training.  "
        + "; ".join(parts)
        + ".  What is gained is resolution that the generator's smoothness brings, not knowledge "
        "of what the training events do not tell."
    )


def _generator_table(found: Json) -> str:
    rows = [
        (TITLES[name], str(kind["n_train"]), str(kind["trainings"]))
        for name, kind in found["kinds"].items()
    ]
    return table(("generator", "training events", "trainings"), rows)


def _three(cell: Json) -> str:
    return f"{shown(cell['value'])} ({between(cell['low'], cell['high'])})"


def _camel_table(found: Json) -> str:
    rows = []
    for count in RESOLUTIONS:
        known = found["worth"][str(count)]
        gain = known["exact gain"]
        for factor, cell in zip(found["factors"], known["measured"], strict=True):
            exact = 1.0 / (1.0 / factor + 1.0 / gain)
            measured = {
                "value": 1 / cell["value"],
                "low": 1 / cell["high"],
                "high": 1 / cell["low"],
            }
            rows.append((str(count), f"{factor:g}", shown(exact), _three(measured)))
    return table(("regions", "factor k", "worth, exact", "worth, measured"), rows)


def _gain_table(found: Json) -> str:
    rows = []
    for name in ("gaussian", "Z"):
        kind = found["kinds"][name]
        for count in RESOLUTIONS:
            measured, claimed = kind["measured"][str(count)], kind["claimed"][str(count)]
            rows.append(
                (
                    TITLES[name],
                    str(count),
                    _three(measured),
                    _three(claimed),
                    _ten_times(measured, found, kind["n_train"]),
                )
            )
    moment = found["moment"]
    rows.append(
        (
            TITLES["gaussian"],
            "first moments",
            _three(moment["measured"]),
            _three(moment["claimed"]),
            _ten_times(moment["measured"], found, found["kinds"]["gaussian"]["n_train"]),
        )
    )
    return table(("generator", "regions", "1/G measured", "1/G claimed", "ten times"), rows)


def _ten_times(cell: Json, found: Json, n_train: int) -> str:
    most = found["factors"][-1]
    value, low, high = worth_of(cell, most)
    return (
        f"{n_train * most:.0f} are worth {n_train * value:.0f} "
        f"({n_train * low:.0f} to {n_train * high:.0f})"
    )


def _gain_words(found: Json) -> str:
    cell = found["moment"]["measured"]
    standing = (
        "lies above 1: this ensemble knows the mean less well than its training events do"
        if cell["low"] > 1.0
        else "holds 1: the ensemble knows the mean as well as its training events do"
        if cell["high"] >= 1.0
        else "lies below 1, which can only be chance"
    )
    return (
        "The mean of a Gaussian cannot be known better than the training events know it: for an "
        "unbiased generator 1/G of the first moment is at least 1 (Cramér and Rao), at any factor. "
        f" Measured is {_three(cell)}, whose interval {standing}."
    )


def _rejection_tables(found: Json) -> str:
    parts = []
    for name, kind in found["kinds"].items():
        head = [f"{test}, {against}" for against in REFERENCES for test in found["tests"]]
        rows = []
        for i, factor in enumerate(found["factors"]):
            cells = [
                _rate(kind["rejected"][i][j][k], kind["trainings"])
                for j in range(len(REFERENCES))
                for k in range(len(found["tests"]))
            ]
            rows.append((f"{factor:g}", *cells))
        parts.append(f"{TITLES[name]}:\n\n" + table(("factor", *head), rows))
    return "\n\n".join(parts)


def _rate(rejected: int, tests: int) -> str:
    low, high = clopper_pearson(rejected, tests, level=0.95)
    return f"{rejected} of {tests} ({percent(low, 0)} to {percent(high, 0)})"


def _chi_table(found: Json) -> str:
    chi = found["chi2"]
    rows = []
    for i, factor in enumerate(found["factors"]):
        cells = []
        for j in range(len(REFERENCES)):
            cells += [
                percent(chi["predicted"][i][j]),
                _rate(chi["rejected"][i][j], chi["trainings"]),
            ]
        rows.append((f"{factor:g}", *cells))
    heads = [f"{word}, {against}" for against in REFERENCES for word in ("exact", "measured")]
    return table(("factor", *heads), rows)


def _saturation(found: Json) -> str:
    predicted = found["chi2"]["predicted"]
    return (
        f"chi-square of the camel must reject in {percent(predicted[0][1])} at 1 and in "
        f"{percent(predicted[-1][1])} at {found['factors'][-1]:g}, against "
        f"{percent(predicted[0][0])} and {percent(predicted[-1][0])} with as much truth as was "
        "generated"
    )


def _comparison(found: Json) -> str:
    moment, two = found["moment"], found["factors"].index(2.0)
    gaussian = found["kinds"]["gaussian"]
    weights, full = (
        [_rate(moment["covered"][which][two][column], moment["of"]) for column in range(2)]
        for which in range(2)
    )
    twice = worth_of(gaussian["measured"][str(RESOLUTIONS[-1])], 2.0)
    camel, most = found["worth"][str(RESOLUTIONS[0])], found["factors"][-1]
    cell, total = camel["measured"][-1], 1.0 / camel["exact gain"] + 1.0 / most
    return comparison(
        [
            Compared(
                "generated events per event known before",
                "2 (200 000 beside 100 000, of which 80 000 trained; appendix A); “at least twice "
                "as many”, section 5",
                f"2 times {gaussian['n_train']} are worth {shown(twice[0])} "
                f"({between(twice[1], twice[2])}) training samples in {RESOLUTIONS[-1]} regions",
                "the paper counts generated events; their worth is smaller, since all of them "
                "share the error of one training",
            ),
            Compared(
                "coverage of the first moments at 2 times, errors of eq. 4",
                "61.3 % and 68.7 % of 284 (appendix A)",
                f"weights alone {weights[0]} and {weights[1]}; with the discrepancy and the "
                f"counting noise {full[0]} and {full[1]}",
                "here each data set trains its ensemble anew, so that the members' common error is "
                "seen, which eq. 2 does not hold; coverage does not measure worth",
            ),
            Compared(
                "distance of a generated sample from the truth",
                "counting noise plus that of the model: eq. 21 of the review, without numbers",
                f"camel, {RESOLUTIONS[0]} regions, {most:g} times: 1/worth = {_three(cell)}, the "
                f"sum is {shown(total)}",
                "agrees"
                if cell["low"] <= total <= cell["high"]
                else "the exact G is for many events, and each fit here has "
                f"{found['kinds']['camel']['n_train']}",
            ),
        ]
    )


def _takeaway(found: Json) -> str:
    most = found["factors"][-1]
    kind = found["kinds"]["gaussian"]
    value, low, high = worth_of(kind["measured"][str(RESOLUTIONS[-1])], most)
    n = kind["n_train"]
    return (
        f"{n * most:.0f} events generated from {n} are worth {n * value:.0f} ({n * low:.0f} to "
        f"{n * high:.0f}) true ones in {RESOLUTIONS[-1]} regions; a test passes or fails by its "
        "own size, whatever they are worth"
    )


STUDY = Study(
    name="oversampling",
    letter="c",
    title="More events than in training",
    question="What is a sample worth that is larger than the one its generator was trained on, and "
    "would a test notice?",
    source="Badaracco et al. (oversampling by a factor of two: section 4, section 5, appendix A); "
    "VERaiPHY review, section 6 (amplification, eqs. 17 to 29)",
    measure=measure,
    words=words,
    takeaway=_takeaway,
    figures={"worth": worth, "rejections": rejections},
)
