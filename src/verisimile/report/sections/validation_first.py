"""A validation on the first screen: where it differs most, and what its questions have for answer.

Everything here is said of numbers that the validation holds: a z is that of one interval or bin
alone, and its p-value, where there is one, is corrected for all that were looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from verisimile.checks.physics.histograms import MarginalPair
from verisimile.checks.twosample.sensitivity import Sensitivity
from verisimile.checks.twosample.windows import Window
from verisimile.report.labels import measured
from verisimile.report.numbers import (
    count,
    p_and_z,
    p_words,
    percent,
    plain_number,
    span,
    value_and_error,
)
from verisimile.report.page import Answer, Illustration, Lead, Question, slug
from verisimile.report.sections.validation_figures import glance_figure
from verisimile.report.verdict import Finding, Verdict
from verisimile.samples.copies import KINDS
from verisimile.validation.result import Validation
from verisimile.validation.samples import Overlap

_MOST = 3  # features
_FEW = 4  # names of tests that a sentence lists
_EFFECTS = {"shift": "a shift of one feature by", "local": "an excess in a narrow interval of"}
_WORDS = {
    Verdict.PASSED: "No difference found.",
    Verdict.FAILED: "No.",
    Verdict.INCONCLUSIVE: "Nothing can be said.",
}


def validation_leads(
    found: Validation, units: Mapping[str, str], level: float, *, mark: str, number: int
) -> Iterator[Lead]:
    """Yield the features that deviate most, by their strongest interval or else their bins."""
    marginals = () if found.physics is None else found.physics.marginals
    pairs = {pair.feature.name: pair for pair in marginals}
    windows = _strongest(found)
    for window in windows:
        pair = pairs.get(window.feature)
        yield Lead(
            name=f"{measured(window.feature, units.get(window.feature))}, {_range(window)}",
            z=window.z,
            words=_window_words(window, level),
            picture=None if pair is None else _glance(pair, [window], number),
            mark=mark if _is_significant(window, level) else "",
        )
    if not windows:
        for pair in sorted(marginals, key=largest_pull, reverse=True)[:_MOST]:
            if largest_pull(pair) > 0.0:
                yield _by_bins(pair, number)


def _strongest(found: Validation) -> list[Window]:
    """Return the strongest interval of each of the features that deviate most."""
    if found.windows is None:
        return []
    first: dict[str, Window] = {}
    for window in found.windows.windows:
        first.setdefault(window.feature, window)
    return list(first.values())[:_MOST]


def _range(window: Window) -> str:
    return span(window.low, window.high)


def _window_words(window: Window, level: float) -> str:
    ratio = (
        f"{window.kind} where the reference has nothing"
        if math.isnan(window.ratio.value)
        else f"{window.kind}: {value_and_error(window.ratio.value, window.ratio.error)} times the "
        "reference"
    )
    said = f"{ratio[0].upper()}{ratio[1:]}"
    if window.p_value is None:
        return f"{said}. Of this interval alone, not corrected for the search."
    if _is_significant(window, level):
        return f"{said}. For all intervals together {p_and_z(window.p_value)}."
    return f"{said}. Not significant: {p_words(window.p_value)} for all intervals together."


def _is_significant(window: Window, level: float) -> bool:
    return window.p_value is not None and window.p_value.value <= level


def _by_bins(pair: MarginalPair, number: int) -> Lead:
    place = int(np.argmax(np.abs(np.nan_to_num(pair.pulls))))
    z, (low, high) = float(pair.pulls[place]), pair.worst
    feature = pair.feature
    return Lead(
        name=f"{measured(feature.name, feature.unit)}, {span(low, high)}",
        z=z,
        words=f"{'Excess' if z > 0.0 else 'Deficit'}, the largest of {pair.pulls.size} bins and "
        "not corrected for their number.",
        picture=_glance(pair, [], number),
    )


def largest_pull(pair: MarginalPair) -> float:
    """Return the size of the largest pull of all bins."""
    return float(np.abs(np.nan_to_num(pair.pulls)).max(initial=0.0))


def _glance(pair: MarginalPair, windows: Sequence[Window], number: int) -> Illustration:
    name = pair.feature.name
    shaded = f", {_range(windows[0])} shaded" if windows else ""
    return Illustration(
        name=f"glance-{number}-{slug(name)}",
        caption=f"{name}: generated (points) over reference (blue).",
        alt=f"{name} at a glance{shaded}: generated and reference densities above their ratio.",
        figure=glance_figure(pair, windows),
        small=True,
        glance=True,
    )


def headline(name: str, verdict: Verdict, validation: Validation, sentence: str) -> str:
    """Return the verdict on all tests together in one sentence."""
    p = validation.p_value
    copied = sum(each.fraction for each in _trained_on(validation))
    also = f" {percent(copied)} of its events are copies of training events." if copied else ""
    if p is None or verdict is Verdict.INCONCLUSIVE:
        return f"{name}: {sentence[0].lower()}{sentence[1:]}{also}"
    made = [test for test in validation.tests if test.p_value is not None]
    tests = _counted(len(made))
    if verdict is Verdict.PASSED:
        return f"{name}: no difference from the reference found by {tests} ({p_and_z(p)}).{also}"
    worst = _strongest(validation)[:1]
    where = f", most of all in {worst[0].feature}" if worst else ""
    return (
        f"{name} is not compatible with the reference{where}: {p_and_z(p)} of {tests}"
        f"{' together' if len(made) > 1 else ''}.{also}"
    )


def validation_answers(
    name: str, found: Validation, findings: Sequence[Finding], level: float
) -> Iterator[Answer]:
    """Yield one answer for each question that the validation asked."""
    together = findings[0]
    yield Answer(
        Question.SAME,
        name,
        _WORDS[together.verdict],
        _tests_words(found, findings),
        together.mark,
    )
    if found.windows is not None and found.windows.windows:
        yield _where(name, found, level)
    if any(rows.role == "train" for rows in found.rows):
        yield _copies(name, found)
    if found.sensitivities:
        yield _visible(name, found.sensitivities)


def _counted(tests: int) -> str:
    return f"{tests} test{'' if tests == 1 else 's'}"


def _tests_words(found: Validation, findings: Sequence[Finding]) -> str:
    if found.p_value is None or findings[0].verdict is Verdict.INCONCLUSIVE:
        said = findings[0].sentence.removeprefix("Nothing can be said: ")
        return f"{said[:1].upper()}{said[1:]}"
    names = [
        finding.hypothesis
        for finding in findings[1:]
        if finding.verdict is Verdict.FAILED and not finding.hypothesis.startswith("threshold")
    ]
    made = sum(test.p_value is not None for test in found.tests)
    said = f"{_counted(made)}{' together' if made > 1 else ''}: {p_and_z(found.p_value)}."
    if not names:
        return f"{said} No single test rejects after Holm's correction."
    listed = ", ".join(names[:_FEW]) + (f" and {len(names) - _FEW} more" if names[_FEW:] else "")
    rejects = "rejects" if len(names) == 1 else "reject"
    return f"{said} {len(names)} of {made} {rejects} after Holm's correction: {listed}."


def _where(name: str, found: Validation, level: float) -> Answer:
    windows = found.windows
    assert windows is not None  # noqa: S101  (the caller looked)
    significant = windows.significant(level)
    scanned = f"of {count(windows.scanned)} intervals that were looked at"
    if not significant:
        return Answer(
            Question.WHERE, name, "Nowhere found.", f"None {scanned} is significant.", "measured"
        )
    features = list(dict.fromkeys(window.feature for window in significant))
    listed = ", ".join(features[:_FEW])
    more = f" and {len(features) - _FEW} more" if features[_FEW:] else ""
    others = [name for name in windows.features if name not in features]
    rest = f" Nothing significant in {', '.join(others[:_FEW])}" if others else ""
    rest += f" and {len(others) - _FEW} more." if others[_FEW:] else "." if others else ""
    return Answer(
        Question.WHERE,
        name,
        f"In {listed}{more}.",
        f"{len(significant)} separate interval{'' if len(significant) == 1 else 's'} "
        f"{'is' if len(significant) == 1 else 'are'} significant, corrected for all "
        f"{scanned.removeprefix('of ')}.{rest}",
        "measured",
    )


def _copies(name: str, found: Validation) -> Answer:
    copies = _trained_on(found)
    if not copies:
        return Answer(
            Question.MEMORISED,
            name,
            "No copies found.",
            "No generated event is a copy of a training event beyond chance. Events that are "
            "merely near to training events are not looked for here: verisimile amplify does.",
            "measured",
        )
    said = ", ".join(f"{KINDS[each.kind]} {percent(each.fraction)}" for each in copies)
    return Answer(
        Question.MEMORISED,
        name,
        "Yes.",
        f"Generated events that are copies of training events: {said}.",
        "failed",
    )


def _trained_on(found: Validation) -> list[Overlap]:
    """Return the kinds of copies of training events that the generated sample has."""
    pair = ("train", "generated")
    return [each for each in found.overlaps if (each.first, each.second) == pair]


def _visible(name: str, found: Sequence[Sensitivity]) -> Answer:
    """Say the least effect that some test would have seen, by the best test for it."""
    said = []
    for effect, words in _EFFECTS.items():
        seen = [
            (each.at_ninety.value, each)
            for each in found
            if each.effect == effect and each.at_ninety is not None
        ]
        if seen:
            value, best = min(seen, key=lambda one: one[0])
            size = percent(value) if effect == "local" else f"{plain_number(value, digits=2)} σ"
            said.append(f"{words} {size} ({best.statistic})")
    if not said:
        return Answer(
            Question.VISIBLE,
            name,
            "Not the effects that were tried.",
            "No test would have seen them with a probability of 90 %.",
        )
    return Answer(
        Question.VISIBLE,
        name,
        "From here on:",
        f"{', and '.join(said)}, each with a probability of 90 % by the test best at it.",
        "measured",
    )
