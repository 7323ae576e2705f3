"""Goodness of fit on the first screen: where test samples deviate most, and what was asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from verisimile.checks.goodness.marginals import CHI2_EXPECTED, MarginalComparison
from verisimile.checks.goodness.result import Goodness
from verisimile.report.content import SampleResult
from verisimile.report.labels import measured
from verisimile.report.numbers import count, p_and_z, plain_number, signed, span, z_words
from verisimile.report.page import Answer, Illustration, Lead, Question, slug
from verisimile.report.sections.goodness_figures import marginal_glance, null_illustration
from verisimile.report.verdict import Finding, Verdict

_MOST = 3  # features
_WORDS = {
    Verdict.PASSED: "No difference found.",
    Verdict.FAILED: "No.",
    Verdict.INCONCLUSIVE: "Nothing can be said.",
}


def sample_leads(sample: SampleResult, number: int, *, mark: str) -> Iterator[Lead]:
    """Yield the features of a test sample that deviate most from the mixture, bin by bin."""
    found = [(marginal, *_largest(marginal)) for marginal in sample.marginals]
    seen = [each for each in found if each[1] >= 0]
    for marginal, place, z in sorted(seen, key=lambda each: -abs(each[2]))[:_MOST]:
        feature, edges = marginal.feature, marginal.edges
        where = span(float(edges[place]), float(edges[place + 1]))
        ratio = float(marginal.counts[place] / marginal.expected[place])
        yield Lead(
            name=f"{measured(feature.name, feature.unit)}, {where}",
            z=z,
            words=f"{sample.name}: {'excess' if z > 0.0 else 'deficit'}, "
            f"{plain_number(ratio, digits=2)} times the mixture. The largest of "
            f"{marginal.counts.size} bins, not corrected for their number.",
            picture=_glance(sample.name, marginal, number),
            mark=mark,
        )
    if not seen and sample.goodness:
        test = sample.goodness[-1]
        yield Lead(
            name=sample.name,
            z=float("nan"),
            words=f"{test.hypothesis}: {p_and_z(test.p_value)}, of "
            f"{count(test.p_value.n_null)} pseudo-experiments.",
            picture=null_illustration(sample.name, test, f"{number}-{len(sample.goodness)}"),
            mark=mark,
            measure=z_words(test.p_value),
        )


def _of_features(number: int) -> str:
    return "" if number == 1 else f" of all {number} features"


def _largest(marginal: MarginalComparison) -> tuple[int, float]:
    """Return the bin of the largest pull, among those of enough events, and the pull."""
    size = np.abs(np.nan_to_num(marginal.pulls)) * (marginal.expected >= CHI2_EXPECTED)
    if not size.any():
        return -1, 0.0
    place = int(size.argmax())
    return place, float(marginal.pulls[place])


def _glance(sample: str, marginal: MarginalComparison, number: int) -> Illustration:
    name = marginal.feature.name
    return Illustration(
        name=f"glance-{number}-{slug(name)}",
        caption=f"{name}: data over the mixture.",
        alt=f"{name} of {sample} at a glance: counts above their ratio to the mixture.",
        figure=marginal_glance(marginal),
        small=True,
        glance=True,
    )


def headline(finding: Finding, test: Goodness) -> str:
    """Return the verdict on one test in one sentence."""
    if finding.verdict is Verdict.INCONCLUSIVE:
        return f"{finding.sample}: {finding.sentence[0].lower()}{finding.sentence[1:]}"
    said = "is not compatible" if finding.verdict is Verdict.FAILED else "is compatible"
    return f"{finding.sample} {said} with the fitted model ({p_and_z(test.p_value)})."


def sample_answers(
    samples: Sequence[SampleResult], findings: Sequence[Finding]
) -> Iterator[Answer]:
    """Yield whether each sample has the mixture's law; those for comparison stand aside."""
    tests = [test for sample in samples for test in sample.goodness]
    decisive = [each for each in zip(findings, tests, strict=True) if each[0].decisive]
    for finding, test in decisive:
        subject = finding.sample if len(decisive) > 1 else ""
        said = finding.sentence.removeprefix("Nothing can be said: ")
        numbers = "" if finding.verdict is Verdict.INCONCLUSIVE else f" {p_and_z(test.p_value)}."
        yield Answer(
            Question.SAME,
            subject,
            _WORDS[finding.verdict],
            f"{said[:1].upper()}{said[1:]}{numbers}",
            finding.mark,
        )
    for sample in samples:
        off = [(marginal.feature.name, _largest(marginal)[1]) for marginal in sample.marginals]
        if off:
            name, z = max(off, key=lambda each: abs(each[1]))
            side = "too many events" if z > 0.0 else "too few events"
            yield Answer(
                Question.WHERE,
                sample.name if len(samples) > 1 else "",
                f"Most in {name}.",
                f"Its worst bin has {side}, a pull of "
                f"{signed(z)}; the largest of all bins{_of_features(len(off))}, not corrected for "
                "their number.",
                "measured",
            )
