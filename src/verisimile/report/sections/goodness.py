"""Goodness of fit in a report: verdicts on test samples, summary, settings, places of deviation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from verisimile.checks.goodness.localise import Hotspots, Localisation
from verisimile.checks.goodness.marginals import CHI2_EXPECTED, MarginalComparison
from verisimile.checks.goodness.refine import Refinement
from verisimile.checks.goodness.result import AlternativeFit, ContextGoodness, Goodness
from verisimile.core.arrays import Array, frozen
from verisimile.report.claims import reservation, supported
from verisimile.report.content import TITLE, SampleResult
from verisimile.report.labels import measured, stated_units
from verisimile.report.numbers import (
    count,
    fixed,
    p_interval,
    p_value,
    percent,
    plain_number,
    rough,
    shown,
    z_interval,
)
from verisimile.report.page import Part, Table
from verisimile.report.section import Section, listing, takes
from verisimile.report.sections.goodness_figures import of_sample
from verisimile.report.verdict import OUTCOMES, Finding, Verdict, decision, too_few
from verisimile.stats.pvalues import matches

_MODELS = {
    "single": "one member alone, taken as exact",
    "ensemble": "the ensemble with frozen weights",
    "ensemble+uncertainty": "the ensemble within its uncertainty",
}


@takes(Goodness, MarginalComparison, SampleResult)
class SampleTests(Section[SampleResult]):
    """Test samples under one or more hypotheses; loose tests are put together by their sample."""

    title = TITLE
    order = 10
    field = "samples"

    @classmethod
    def arranged(cls, results: Sequence[Any]) -> Sequence[SampleResult]:
        """Return test samples: those given, then one for each digest."""
        tests = [result for result in results if isinstance(result, Goodness)]
        marginals = [result for result in results if isinstance(result, MarginalComparison)]
        digests = dict.fromkeys(
            [test.events_digest for test in tests] + [m.events_digest for m in marginals]
        )
        return [
            *(result for result in results if isinstance(result, SampleResult)),
            *(
                SampleResult(
                    name=f"sample {digest[:8]}",
                    goodness=tuple(test for test in tests if test.events_digest == digest),
                    marginals=tuple(m for m in marginals if m.events_digest == digest),
                )
                for digest in digests
            ),
        ]

    def findings(self) -> Iterator[Finding]:
        """Yield one finding per test; if any has the decisive hypothesis, only those count."""
        tests = [(sample.name, test) for sample in self.results for test in sample.goodness]
        decided = any(test.hypothesis == self.content.decisive for _, test in tests)
        for name, test in tests:
            verdict, reason = judge(test, self.content.level)
            decisive = not decided or test.hypothesis == self.content.decisive
            yield Finding(
                name,
                test.hypothesis,
                verdict,
                _sentence(test, verdict, reason),
                decisive,
                headline=decisive,
                outcome=OUTCOMES[verdict],
            )

    def summaries(self) -> Iterator[Table]:
        """Yield one row per test: verdict, numbers, and what they mean."""
        found = tuple(self.findings())
        tests = [test for sample in self.results for test in sample.goodness]
        yield Table(
            caption=f"Verdicts at a significance level of {self.content.level:g}; those in "
            "brackets stand for comparison. Ranges of p and Z are 68 % intervals from the finite "
            "number of toys.",
            columns=(
                "Test sample",
                "Hypothesis",
                "Verdict",
                "p",
                "Z",
                "t",
                "Toys",
                "Null",
                "In words",
            ),
            rows=tuple(_summary_row(*each) for each in zip(found, tests, strict=True)),
            marks=tuple(finding.mark for finding in found),
            words=frozenset({1, 2, 7, 8}),
        )

    def parts(self) -> Iterator[Part]:
        """Yield figures and tables of each sample."""
        for number, sample in enumerate(self.results, 1):
            tables = [goodness_table(sample.goodness)] if sample.goodness else []
            if sample.marginals:
                tables.append(marginal_table(sample.marginals))
            if sample.hotspots is not None:
                own = [marginal.feature for marginal in sample.marginals]
                units = stated_units(self.content, own)
                tables.append(hotspot_table(sample.hotspots, units))
            claims = dict.fromkeys(supported(test) for test in sample.goodness)
            yield Part(
                f"Test sample: {sample.name}",
                " ".join(filter(None, (sample.about, *claims))),
                of_sample(sample, number),
                tuple(tables),
            )

    def warnings(self) -> Iterator[str]:
        """Yield those of the tests."""
        for sample in self.results:
            for test in sample.goodness:
                yield from test.warnings


def judge(test: Goodness, level: float) -> tuple[Verdict, str]:
    r"""Return the verdict of one test, and the reason if there is none.

    Failed: :math:`p \le` level.  Inconclusive: no statistic, too few toys to
    reach the level, or a conclusion that hangs on toys that failed, on a fit to the sample
    that failed, or on events for which the statistic is only a lower bound and whose
    surprise was not tested.
    """
    p = test.p_value
    if math.isnan(test.statistic) or math.isnan(p.value):
        return Verdict.INCONCLUSIVE, "the fit to the sample gave no statistic"
    if 1.0 / (test.most_toys + 1) > level:
        return Verdict.INCONCLUSIVE, too_few(test.most_toys, level)
    if p.value <= level:
        return Verdict.FAILED, ""
    if _without_failed(test) <= level:
        return Verdict.INCONCLUSIVE, f"it hangs on the {p.n_failed} toys that failed"
    if any(math.isnan(part.statistic) for part in test.parts):
        return Verdict.INCONCLUSIVE, "a fit to the sample gave no statistic"
    if test.capped and test.surprise is None:
        reason = f"{test.capped} events far outside the model make the statistic a lower bound"
        return Verdict.INCONCLUSIVE, reason
    return Verdict.PASSED, ""


def _without_failed(test: Goodness) -> float:
    finite = test.toys[np.isfinite(test.toys)]
    return (int((finite >= test.statistic).sum()) + 1) / (finite.size + 1)


def _sentence(test: Goodness, verdict: Verdict, reason: str) -> str:
    if verdict is Verdict.INCONCLUSIVE:
        return f"Nothing can be said: {reason}."
    model = _MODELS.get(test.hypothesis, test.hypothesis)
    if verdict is Verdict.PASSED:
        return f"Compatible with {model}: {_share(test)} deviate at least as much."
    said = f"Not compatible with {model}: {_share(test)} deviate as much.{_beyond(test)}"
    return f"{said}{reservation(test)}"


def _beyond(test: Goodness) -> str:
    """Say so where the events that the model calls impossible are what it fails by."""
    found = test.surprise
    if found is None or found.p_values[1].value > test.leading.p_value.value or found.beyond < 2:
        return ""
    return f" {count(found.beyond)} events lie in a tail where it expects one."


def _share(test: Goodness) -> str:
    thrown, exceeding = test.toys.size, int(matches(test.statistic, test.toys).sum())
    if not exceeding:
        return f"none of {count(thrown)} pseudo-experiments"
    return f"{percent(exceeding / thrown)} of {count(thrown)} pseudo-experiments"


def _summary_row(finding: Finding, test: Goodness) -> tuple[str, ...]:
    verdict, failed = finding.verdict.value, test.p_value.n_failed
    return (
        finding.sample,
        test.hypothesis,
        verdict if finding.decisive else f"({verdict})",
        f"{p_value(test.p_value)} {_bracketed(p_interval(test.p_value))}",
        f"{fixed(test.z.value)} {_bracketed(z_interval(test.z))}",
        plain_number(test.leading.statistic),
        f"{count(test.p_value.n_null)} {_bracketed(f'{count(failed)} failed')}",
        test.null,
        finding.sentence,
    )


def goodness_table(tests: Sequence[Goodness]) -> Table:
    """Return what the tests looked with, one column per test and alternative."""
    seen = [(test, part) for test in tests for part in test.parts]
    several = any(len(test.parts) > 1 or test.surprise is not None for test in tests)
    rows: tuple[tuple[str, ...], ...] = (
        ("Alternative", *(part.alternative for _, part in seen)),
        *((_alone([part for _, part in seen]),) if several else ()),
        *_placements([part for _, part in seen]),
        *_surprise([test for test, _ in seen]),
        ("Test events", *(count(t.n_events) for t, _ in seen)),
        *_learnt([test for test, _ in seen]),
        ("Members", *(count(t.n_members) for t, _ in seen)),
        ("Free variations of the weights", *(count(t.variations) for t, _ in seen)),
        ("Kernels", *(count(part.n_kernels) for _, part in seen)),
        ("Independent kernel directions", *(count(part.rank) for _, part in seen)),
        ("Kernel widths: narrowest, median, widest", *(_listed(p.widths) for _, p in seen)),
        ("Numerical error of t, at most", *(plain_number(p.gap, digits=2) for _, p in seen)),
        ("Events far outside the model", *(count(part.capped) for _, part in seen)),
        ("Largest pull of the weights, null", *(_largest(p.null_pulls) for _, p in seen)),
        ("Largest pull, alternative", *(_largest(p.alternative_pulls) for _, p in seen)),
    )
    return Table(
        "Settings and diagnostics of the tests.", ("", *(t.hypothesis for t, _ in seen)), rows
    )


def _alone(parts: Sequence[AlternativeFit]) -> tuple[str, ...]:
    return (
        "p alone, not corrected for the others (t)",
        *(f"{p_value(part.p_value)} ({plain_number(part.statistic)})" for part in parts),
    )


def _placements(parts: Sequence[AlternativeFit]) -> tuple[tuple[str, ...], ...]:
    """Return how much hangs on where the kernels fall, if they were placed several times."""
    if not any(part.placement_statistics.size > 1 for part in parts):
        return ()
    return (
        ("Placements of the kernels", *(count(p.placement_statistics.size) for p in parts)),
        (
            "t of single placements, smallest to largest",
            *(_range(p.placement_statistics) for p in parts),
        ),
        (
            "p of single placements, smallest to largest",
            *(_range(p.placement_p_values) for p in parts),
        ),
    )


def _surprise(tests: Sequence[Goodness]) -> tuple[tuple[str, ...], ...]:
    """Return how surprising the events are to the model, if that was tested."""
    if not any(test.surprise is not None for test in tests):
        return ()
    found = [test.surprise for test in tests]
    return (
        (
            "Mean surprise, p alone",
            *("–" if s is None else p_value(s.p_values[0]) for s in found),
        ),
        (
            "Surprise beyond the model's 1/n tail, p alone (events there; one is expected)",
            *("–" if s is None else f"{p_value(s.p_values[1])} ({count(s.beyond)})" for s in found),
        ),
        (
            "Events outside the model's support",
            *("–" if s is None else count(s.impossible) for s in found),
        ),
    )


def _learnt(tests: Sequence[Goodness]) -> tuple[tuple[str, ...], ...]:
    """Return what the stated errors were learnt from and support, of a corrected mixture."""
    if not any(test.supports is not None for test in tests):
        return ()
    return (
        (
            "Events that the discrepancy was learnt from",
            *("–" if t.learnt_from is None else count(t.learnt_from) for t in tests),
        ),
        (
            "Test events that the stated errors support",
            *("–" if t.supports is None else rough(t.supports) for t in tests),
        ),
    )


def _range(values: Array) -> str:
    if not values.size:
        return "–"
    return f"{plain_number(float(values.min()))} to {plain_number(float(values.max()))}"


def marginal_table(marginals: Sequence[MarginalComparison]) -> Table:
    """Return one row per feature: chi2, largest pull, events outside the bins."""
    return Table(
        caption="Marginals against REF. χ² is descriptive: full covariance of the model, cells "
        "merged to five expected events. The largest pull, (data − REF) / σ of both, is among bins "
        "with five expected events.",
        columns=(
            "Feature",
            "Unit",
            "Bins",
            "χ² / dof",
            "Largest pull",
            "Below: data",
            "Below: REF",
            "Above: data",
            "Above: REF",
        ),
        rows=tuple(
            (
                m.feature.name,
                m.feature.unit or "–",
                count(m.counts.size),
                f"{plain_number(m.chi2, digits=3)} / {m.dof}",
                _largest(m.pulls[m.expected >= CHI2_EXPECTED]),
                *(
                    count(data_or_ref) if i % 2 == 0 else plain_number(data_or_ref, digits=3)
                    for i, data_or_ref in enumerate((*m.underflow, *m.overflow))
                ),
            )
            for m in marginals
        ),
        words=frozenset({1}),
    )


def _bracketed(text: str) -> str:
    """Return `text` in brackets, not to be broken over lines."""
    return f"({text})".replace(" ", "\N{NO-BREAK SPACE}")


def _listed(values: Sequence[float]) -> str:
    return ", ".join(plain_number(value, digits=2) for value in values)


def _largest(values: Array) -> str:
    finite = values[np.isfinite(values)]
    if not finite.any():
        return "–"
    return f"{float(finite[np.abs(finite).argmax()]):+.1f}".replace("-", "\N{MINUS SIGN}")


def hotspot_table(found: Hotspots, units: Mapping[str, str]) -> Table:
    """Return one row per place, the largest score first, with units by feature."""
    return Table(
        caption=f"Where the sample deviates most: the {found.z.size} of {found.kernels} kernels "
        "with the largest score, in standard deviations of that kernel alone; positive for too "
        "many events. The largest of many is large by chance too: whether there is a deviation, "
        "p says. Events are counted with the kernel scaled to one at its centre.",
        columns=(
            "Score",
            *(measured(name, units.get(name)) for name in found.names),
            "Width",
            "Events seen",
            "Events expected",
        ),
        rows=tuple(
            (
                ("+" if found.z[s] > 0.0 else "") + fixed(found.z[s], places=1),
                *(plain_number(value, digits=3) for value in found.centres[s]),
                plain_number(found.widths[s], digits=2),
                plain_number(found.observed[s], digits=4),
                plain_number(found.expected[s], digits=4),
            )
            for s in range(found.z.size)
        ),
    )


@takes(ContextGoodness)
class GoodnessInContext(Section[ContextGoodness]):
    """Tests of conditional mixtures in bins of their context."""

    title = "Goodness of fit in context"

    def name(self, result: ContextGoodness) -> str:
        """Return sample and context."""
        return f"sample {result.events_digest[:8]} in {result.feature}"

    def judge(self, name: str, result: ContextGoodness) -> Iterator[Finding]:
        """Yield a verdict on all bins together."""
        model = _MODELS.get(result.hypothesis, result.hypothesis)
        yield decision(
            name,
            result.hypothesis,
            result.p_value,
            self.level,
            passed=f"Compatible with {model}",
            failed=f"Not compatible with {model}",
        )

    def tables(self) -> Iterator[Table]:
        """Yield a row for each bin."""
        units = stated_units(self.content)
        for name, result in self.named:
            places = zip(result.edges[:-1], result.edges[1:], strict=True)
            found = zip(places, result.counts, result.parts, strict=True)
            yield Table(
                f"{name}: bins of {measured(result.feature, units.get(result.feature))}, "
                f"combined by {result.combination} on "
                f"{count(result.p_value.n_null)} {result.null} toys. p alone is not corrected for "
                f"the others. Events outside of all bins: {count(result.n_unused)}.",
                ("From", "To", "Events", "t", "p alone"),
                tuple(
                    (shown(float(low)), shown(float(high)), shown(int(n)))
                    + (shown(part.statistic), shown(part.p_value))
                    for (low, high), n, part in found
                ),
            )


@takes(Localisation)
class Places(Section[Localisation]):
    """Kernels of a deviation, for a test that was made: descriptive."""

    title = "Where a sample deviates"
    question = "largest score of a kernel"

    @classmethod
    def arranged(cls, results: Sequence[Localisation]) -> Sequence[Localisation]:
        """Return them without a number for each event."""
        return [replace(result, contributions=frozen(np.empty(0))) for result in results]

    def sentence(self, result: Localisation) -> str:
        """Return the strongest kernel."""
        k = int(result.ordered[0])
        centre = ", ".join(plain_number(float(x), digits=3) for x in result.centres[k])
        return f"Largest score {fixed(float(result.z[k]), places=1)} at ({centre})."

    def tables(self) -> Iterator[Table]:
        """Yield the strongest kernels of each."""
        for result in self.results:
            names = [f"x{column + 1}" for column in range(result.centres.shape[1])]
            yield hotspot_table(result.strongest(names), {})


@takes(Refinement)
class Refinements(Section[Refinement]):
    """Searches for a model that passes."""

    title = "Refinement"

    def judge(self, name: str, result: Refinement) -> Iterator[Finding]:
        """Yield a verdict on the p-value that is corrected for the looks, at the search's level."""
        looks = f"Look {len(result.looks)} of {result.planned}"
        yield decision(name, "last model", result.p_value, result.level, passed=looks, failed=looks)

    def tables(self) -> Iterator[Table]:
        """Yield a row for each look."""
        for result in self.results:
            yield listing(
                "Tests of the models that were looked at, each on its own events; p is not "
                "corrected for the looks.",
                ((f"Look {i}", look) for i, look in enumerate(result.looks, 1)),
                {
                    "Hypothesis": "hypothesis",
                    "Members": "n_members",
                    "Events": "n_events",
                    "p": "p_value",
                    "Z": lambda r: fixed(r.z.value),
                },
                first="Look",
            )
