"""Where a validation becomes passed, failed or inconclusive: level, thresholds, required tests."""

from __future__ import annotations

import math
from collections.abc import Iterator

from verisimile.report.numbers import plain_number, small_p, value_and_error
from verisimile.report.sections.validation_first import headline
from verisimile.report.verdict import OUTCOMES, Finding, Verdict
from verisimile.validation.battery import draw_groups, labelings
from verisimile.validation.missing import MISSING_VALUES
from verisimile.validation.result import BatteryTest, MetricBound, Validation

ALL = "all tests together"
_SHARED = 0.01  # of the smaller sample: fewer copies change no p-value that matters
_ALIKE = 0.01  # level of the lower tail
_COPIES = {
    "exact": "exact",
    "float32": "in single precision",
    "columns": "with columns in another order",
    "near": "moved by little",
}


def judge_validation(validation: Validation, level: float, *, name: str) -> tuple[Finding, ...]:
    r"""Return the findings on all tests together, on each test, and on each threshold.

    All tests together fail if the global :math:`p \le` level, a single test if its Holm-adjusted
    p is.  A test that could not be made is an error if the study requires it.  A threshold fails if
    the number lies beyond it, and is inconclusive if there is no number.  Nothing compared
    never passes, and neither do samples that share events (more than 1 %), are more alike than
    independent samples are (at 1 %), repeat their own rows (more than 1 % of them), or have a
    column that was left out although it may be a feature.
    """
    tests = tuple(_test(name, test, validation, level) for test in validation.tests)
    return (
        _together(name, validation, tests, level),
        *tests,
        *_absent(name, validation),
        *(_bound(name, bound, validation) for bound in validation.bounds),
    )


def _together(
    name: str, validation: Validation, tests: tuple[Finding, ...], level: float
) -> Finding:
    p = validation.p_value
    if p is None:
        reason = _refused(validation)
        verdict = Verdict.INCONCLUSIVE
        sentence = f"Nothing can be said: {reason}." if reason else "Nothing was compared."
    elif reason := _refused(validation):
        # Too few effective events: what is left is too little for a verdict of either kind.
        verdict = Verdict.INCONCLUSIVE
        sentence = f"Nothing can be said: {reason}."
    elif p.value <= level and (_rejecting(tests) or not _blank(validation)):
        verdict, sentence = Verdict.FAILED, _failed(tests, validation)
    elif blank := _blank(validation):
        # Such a statistic counts as extreme: a failure of numerics must not read as a verdict.
        verdict = Verdict.INCONCLUSIVE
        sentence = f"Nothing can be said: no finite statistic of {', '.join(blank)}."
    elif missing := _missing(validation):
        verdict = Verdict.INCONCLUSIVE
        sentence = f"Nothing can be said: required, but not made: {', '.join(missing)}."
    elif doubts := validation.doubts:
        verdict, sentence = Verdict.INCONCLUSIVE, f"Nothing can be said: {'; '.join(doubts)}."
    elif reason := _dependent(validation):
        verdict, sentence = Verdict.INCONCLUSIVE, f"Nothing can be said: {reason}."
    elif (smallest := _reachable(validation)) > level:
        verdict = Verdict.INCONCLUSIVE
        sentence = f"Nothing can be said: {out_of_reach(smallest)}."
    else:
        verdict, sentence = Verdict.PASSED, _passed(validation)
    said = headline(name, verdict, validation, sentence)
    return Finding(name, ALL, verdict, sentence, outcome=OUTCOMES[verdict], headline_sentence=said)


def _refused(validation: Validation) -> str:
    """Return why a test that was made gives no verdict; empty if all do."""
    reasons = [
        test.outcome.refusal
        for test in validation.tests
        if test.outcome is not None and test.p_value is None
    ]
    return next(filter(None, reasons), "")


def _blank(validation: Validation) -> list[str]:
    """Return the names of tests whose statistic or p-value is NaN."""
    return [test.name for test in validation.tests if _is_blank(test)]


def _is_blank(test: BatteryTest) -> bool:
    if test.p_value is None:
        return False
    observed = 0.0 if test.outcome is None else test.outcome.observed
    return math.isnan(test.p_value.value) or math.isnan(observed)


def _rejecting(tests: tuple[Finding, ...]) -> list[str]:
    return [test.hypothesis for test in tests if test.verdict is Verdict.FAILED]


def _missing(validation: Validation) -> list[str]:
    """Return the names of required tests without a p-value."""
    made = {test.name for test in validation.tests if test.p_value is not None}
    return [name for name in validation.required if name not in made]


def _dependent(validation: Validation) -> str:
    """Return why the samples are not independent, so that alike is no news; empty if they are."""
    copies = [
        each
        for each in validation.overlaps
        if (each.first, each.second) == ("reference", "generated")
    ]
    shared = sum(each.shared for each in copies)
    if shared > _SHARED * min(validation.n_reference, validation.n_generated):
        kinds = ", ".join(_COPIES[each.kind] for each in copies)
        return (
            f"{shared} of {validation.n_generated} generated events are copies of reference "
            f"events ({kinds}), and relabelings suppose independent samples"
        )
    alike = validation.alike
    if alike is not None and alike.p <= _ALIKE:
        return (
            "the samples are more alike than independent samples are "
            f"(p {'' if alike.p < 1e-12 else '= '}{small_p(alike.p)})"
        )
    for rows in validation.rows:
        if rows.dependent and rows.role != "train":
            return (
                f"the {rows.n} events of the {rows.role} sample have {rows.distinct} different "
                "rows, and are worth no more"
            )
    return ""


def _failed(tests: tuple[Finding, ...], validation: Validation) -> str:
    significant = _rejecting(tests)
    which = (
        f"{', '.join(significant)} {'rejects' if len(significant) == 1 else 'reject'} after "
        "Holm's correction"
        if significant
        else "no single test is significant after Holm's correction, all together are"
    )
    where = _where(validation)
    return f"Not compatible: {which}.{f' {where}' if where else ''}"


def _where(validation: Validation) -> str:
    windows = validation.windows
    if windows is None or not windows.windows:
        return ""
    first = windows.windows[0]
    low, high = (plain_number(edge, digits=3) for edge in (first.low, first.high))
    ratio = (
        "where the reference has nothing"
        if math.isnan(first.ratio.value)
        else f"generated over reference {value_and_error(first.ratio.value, first.ratio.error)}"
    )
    unit = _unit(validation, first.feature)
    return f"Largest local deviation: {first.feature} from {low} to {high}{unit}, {ratio}."


def _unit(validation: Validation, name: str) -> str:
    if validation.physics is None:
        return ""
    compared = [each.feature for each in validation.physics.marginals]
    unit = next((feature.unit for feature in compared if feature.name == name), "")
    return f" {unit}" if unit else ""


def _passed(validation: Validation) -> str:
    made = sum(test.p_value is not None for test in validation.tests)
    return f"No difference found by {made} {'test' if made == 1 else 'tests'}."


def out_of_reach(smallest: float) -> str:
    """Return why nothing can be said at a level below the smallest p-value that there can be."""
    return f"with so few relabelings or events no p-value can be below {smallest:.2g}"


def _reachable(validation: Validation) -> float:
    """Return the smallest global p-value that the numbers of relabelings and events allow."""
    made = [test for test in validation.tests if test.p_value is not None]
    outcomes = [test.outcome for test in made if test.outcome is not None]
    smallest = [
        len(made) / len(group) / min(result.p_value.n_null + 1, labelings(result.n_effective))
        for group in draw_groups(outcomes)
        for result in group
    ]
    ways = labelings((validation.n_reference, validation.n_generated))
    for test in made:
        # Of rows that are lost no other test knows: it decides nothing for them.
        if test.outcome is None and test.p_value is not None and test.name != MISSING_VALUES:
            n_null = test.p_value.n_null
            # Closed forms have no relabelings and reach anything.
            smallest.append(len(made) / min(n_null + 1, ways) if n_null else 0.0)
    return min(smallest, default=math.inf)


def _single(
    name: str,
    question: str,
    verdict: Verdict,
    sentence: str,
    *,
    decisive: bool = True,
    headline: bool = False,
) -> Finding:
    """Return the finding on one test or threshold; the first line has only thresholds."""
    outcome = f"{question} {verdict.value}"
    return Finding(name, question, verdict, sentence, decisive, headline, outcome)


def _test(name: str, test: BatteryTest, validation: Validation, level: float) -> Finding:
    if test.p_value is None:
        needed = test.name in validation.required
        said = f"{'No verdict' if test.outcome else 'Not made'}: {test.reason}"
        return _single(name, test.name, Verdict.INCONCLUSIVE, said, decisive=needed)
    if _is_blank(test):
        reason = "Nothing can be said: no finite statistic."
        return _single(name, test.name, Verdict.INCONCLUSIVE, reason)
    if test.adjusted <= level:
        said = f"Rejects; it is best at: {test.sees}."
        return _single(name, test.name, Verdict.FAILED, said)
    return _single(name, test.name, Verdict.PASSED, "No difference found.")


def _absent(name: str, validation: Validation) -> Iterator[Finding]:
    """Yield an error for every required test that the results do not even mention."""
    known = {test.name for test in validation.tests}
    for required in validation.required:
        if required not in known:
            said = "Required, but not among the tests."
            yield _single(name, required, Verdict.INCONCLUSIVE, said)


def _bound(name: str, bound: MetricBound, validation: Validation) -> Finding:
    label = f"threshold {bound.name}"
    found = validation.metrics.get(bound.name)
    if found is None or math.isnan(found.value):
        known = ", ".join(validation.metrics)
        reason = f"Nothing is known of {bound.name!r}; there are {known or 'no numbers'}."
        return _single(name, label, Verdict.INCONCLUSIVE, reason, headline=True)
    low = -math.inf if bound.min is None else bound.min
    high = math.inf if bound.max is None else bound.max
    value = plain_number(found.value)
    if low <= found.value <= high:
        return _single(name, label, Verdict.PASSED, f"{value} is within {_range(bound)}.")
    said = f"{value} is not within {_range(bound)}."
    return _single(name, label, Verdict.FAILED, said, headline=True)


def _range(bound: MetricBound) -> str:
    if bound.min is None:
        return f"at most {plain_number(bound.max or 0.0)}"
    if bound.max is None:
        return f"at least {plain_number(bound.min)}"
    return f"{plain_number(bound.min)} to {plain_number(bound.max)}"
