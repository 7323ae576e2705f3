"""The two-sample battery, the classifier and the physicist's comparisons on two equal laws.

Settings vary one thing at a time about 60 against 300 and 300 against 300 events of two normal
features, and add pairs that are known to hurt: unlike weights with unlike sizes, lattices
and heavy tails with weights, rows that belong together.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

import verisimile as vs
from gauntlet.claims import Claim, P, Refused, p_or_refused
from gauntlet.pairs import CORE, PAIRS, WEIGHTED, Pair, file_pairs
from gauntlet.registry import Excuse, bench
from verisimile.core.arrays import Array
from verisimile.core.random import Seeds
from verisimile.report.sections.validation_verdict import judge_validation
from verisimile.report.verdict import Verdict
from verisimile.validation.result import Validation
from verisimile.validation.study import CLASSIFIER, NAMES

RELABELINGS = 99
TESTS = tuple(name for name in NAMES if name != CLASSIFIER)
ALL = "all tests together"
EXCUSES = (
    Excuse("moment", "too few events", "a few events carry the moment of a heavy tail"),
    Excuse(
        "kernel-distance", "weights that leave", "its sixth moments: refused below 50 effective"
    ),
    Excuse("correlations", "no p-value", "a few events carry the correlation of a heavy tail"),
    Excuse("marginal chi2", "too few events", "chi-squared needs two cells of enough events"),
)


@bench(
    "Two samples of one law: the battery and the physicist's comparisons",
    (*PAIRS, *file_pairs()),
    covers=(
        "validate",
        "permutation_test",
        "two_sample",
        "marginal_pair",
        "deviating_windows",
        "min_p",
        "holm",
        "Validation",
        "Alike",
        "BatteryTest",
        "TwoSample",
        "MarginalPair",
        "ShapeAgreement",
        "EfficiencyComparison",
        "MomentComparison",
        "CorrelationComparison",
        "ConstraintComparison",
        "Physics",
        "Windows",
        "Window",
    ),
    excuses=EXCUSES,
)
def battery(setting: Pair, seeds: Seeds) -> Mapping[str, Claim]:
    """Every statistic of the catalogue, the verdict on all, and the physics part."""
    first, second = setting.draw(seeds.at("samples"))
    name, middle = first.names[0], setting.middle
    study = vs.Study(
        battery=vs.Battery(tests=TESTS, permutations=RELABELINGS, sensitivity=False, support=False),
        selections={"s": f"{name} > {middle}"},
        constraints={"c": f"{name} < {middle + 1.0}"},
    )
    return _claims(vs.validate(vs.Run(seeds), first, second, study=study))


def _claims(found: Validation) -> dict[str, Claim]:
    claims: dict[str, Claim] = {}
    for test in found.tests:
        value = None if test.p_value is None else test.p_value.value
        claims[test.name] = p_or_refused(value, _short(test.reason))
    if found.physics is not None:  # a selection without a p-value is no test of the study
        for name in ("selection s", "constraint c"):
            claims.setdefault(name, Refused("too few effective events on one side"))
    value = None if found.p_value is None else found.p_value.value
    (verdict, *_) = judge_validation(found, 0.05, name="")
    # What is refused for its p-value's sake must not be counted by its p-value.
    refused = verdict.verdict is Verdict.INCONCLUSIVE and not any(r.dependent for r in found.rows)
    claims[ALL] = Refused(verdict.sentence) if refused else p_or_refused(value, "nothing compared")
    if found.alike is not None:
        claims["more alike than independent"] = P(found.alike.p)
    return {**claims, **_windows(found), **_physics(found)}


def _windows(found: Validation) -> dict[str, Claim]:
    stated = () if found.windows is None else found.windows.windows
    smallest = [each.p_value.value for each in stated if each.p_value is not None]
    return {"worst window": P(min(smallest))} if smallest else {}


def _physics(found: Validation) -> dict[str, Claim]:
    physics = found.physics
    if physics is None:
        return {}
    marginal, moments = physics.marginals[0], physics.moments[0]
    claims = {"marginal chi2": p_or_refused(marginal.p_value, "too few events for chi2")}
    words = ("mean", "standard deviation", "skewness", "kurtosis")
    for word, value in zip(words, moments.p_values, strict=True):
        claims[f"moment: {word}"] = p_or_refused(float(value), "too few events carry the error")
    if physics.correlations is not None:
        claims["correlations (Holm)"] = p_or_refused(_smallest(physics.correlations.adjusted))
    return claims


def _smallest(adjusted: Array) -> float | None:
    finite = adjusted[np.isfinite(adjusted)]
    return float(finite.min()) if finite.size else None


def _short(reason: str) -> str:
    return reason.split("; expected ")[0] or "no p-value"


@bench(
    "Classifier",
    CORE,
    covers=("diagnose_with_classifier", "ClassifierDiagnosis"),
    repetitions=300,
)
def classified(setting: Pair, seeds: Seeds) -> Mapping[str, Claim]:
    """Area under the ROC curve, trained on one half and permuted on the other."""
    first, second = setting.draw(seeds.at("samples"))
    found = vs.diagnose_with_classifier(
        vs.Run(seeds), first, second, folds=2, permutations=RELABELINGS
    )
    return {"classifier": p_or_refused(found.p_value.value)}


@bench(
    "Battery on rows that belong together, each counted as an event",
    tuple(pair for pair in CORE if pair.weights == ("none", "none")),
    repetitions=60,
    defect="three rows of each event are relabelled as if they were independent",
)
def counted_as_events(setting: Pair, seeds: Seeds) -> Mapping[str, Claim]:
    """Give three rows near one another for each event, and no group."""
    rng = seeds.at("rows").numpy()
    samples = []
    for events in setting.draw(seeds.at("samples")):
        x = np.repeat(events.x, 3, axis=0)
        samples.append(vs.Events(x + 0.01 * rng.normal(size=x.shape)))
    study = vs.Study(
        battery=vs.Battery(
            tests=TESTS,
            permutations=RELABELINGS,
            sensitivity=False,
            support=False,
            physics=False,
        )
    )
    claims = _claims(vs.validate(vs.Run(seeds), *samples, study=study))
    claims.pop("more alike than independent", None)  # a lower tail: they are less alike
    return {f"{name}, rows as events": claim for name, claim in claims.items()}


@bench(
    "Relabelling of (event, weight) pairs",
    WEIGHTED,
    repetitions=200,
    defect="events are exchanged together with weights of another law",
)
def exchanged_with_weights(setting: Pair, seeds: Seeds) -> Mapping[str, Claim]:
    """Largest difference of the first feature's distribution functions, relabelled."""
    first, second = setting.draw(seeds.at("samples"))
    x = np.concatenate([first.x[:, 0], second.x[:, 0]])
    w = np.concatenate([_scaled(first), _scaled(second)])
    order = np.argsort(x, kind="stable")
    last = np.append(np.diff(x[order]) > 0.0, True)
    labels = np.arange(x.size) < first.n
    rng = seeds.at("labels").numpy()
    rows = np.stack([labels, *(rng.permutation(labels) for _ in range(RELABELINGS))])[:, order]
    ours, theirs = rows * w[order], ~rows * w[order]
    apart = np.cumsum(
        ours / ours.sum(axis=1, keepdims=True) - theirs / theirs.sum(axis=1, keepdims=True), axis=1
    )
    observed, *toys = np.abs(apart[:, last]).max(axis=1)
    exceeding = int((np.array(toys) >= observed - 1e-12).sum())
    return {"max-ks, exchanged with weights": P((exceeding + 1) / (RELABELINGS + 1))}


def _scaled(events: vs.Events) -> Array:
    if events.weights is None:
        return np.ones(events.n)
    return np.asarray(events.weights / events.weights.mean())
