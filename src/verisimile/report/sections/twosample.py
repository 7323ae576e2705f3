"""Two samples, or a sample and a known law: tests, what they would see, windows, distances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import fill
from typing import ClassVar

import numpy as np
from matplotlib.axes import Axes

from verisimile.checks.known_truth.cdf import OneSample
from verisimile.checks.known_truth.likelihood import LikelihoodTest
from verisimile.checks.physics.histograms import MarginalPair
from verisimile.checks.support.inception import InceptionScore
from verisimile.checks.support.study import Support
from verisimile.checks.twosample.result import TwoSample
from verisimile.checks.twosample.sensitivity import Sensitivity
from verisimile.checks.twosample.statistics.frechet import FrechetDistance
from verisimile.checks.twosample.windows import Windows
from verisimile.core.result import Estimate
from verisimile.report import style
from verisimile.report.drawing import canvas, draws, figure_of
from verisimile.report.labels import stated_units
from verisimile.report.numbers import count, estimate, fixed, p_value, plain_number
from verisimile.report.page import Illustration, Table, slug
from verisimile.report.section import Section, takes
from verisimile.report.sections.validation import pair_illustration
from verisimile.report.sections.validation_figures import p_value_figure
from verisimile.report.sections.validation_tables import (
    ABOUT_SUPPORT,
    bundled,
    likelihood_table,
    pair_table,
    support_table,
    two_sample_table,
    window_table,
)
from verisimile.report.verdict import Finding, Verdict, decision, measurement
from verisimile.stats.pvalues import PValue


def _p_values(name: str, tests: Sequence[tuple[str, PValue]], level: float) -> Illustration:
    said = ", ".join(f"{test} {p_value(p)}" for test, p in tests)
    return Illustration(
        name=name,
        caption="p-value of each test with its 68 % interval from the number of draws; dashed: "
        "the level of each, so that all together keep that of the report.",
        alt=f"P-values of {len(tests)} tests: {said}.",
        figure=p_value_figure([(test, p, None) for test, p in tests], level),
        broad=True,
    )


@takes(TwoSample)
class TwoSampleTests(Section[TwoSample]):
    """Statistics of two samples on draws of their null."""

    title = "Two-sample tests"
    text = "Draws of the null relabel the pooled events, or with weights multiply their masses."

    def name(self, result: TwoSample) -> str:
        """Return the statistic."""
        return result.statistic

    def judge(self, name: str, result: TwoSample) -> Iterator[Finding]:
        """Yield a verdict, or the refusal of one."""
        if result.refusal:
            said = f"No verdict: {result.refusal}"
            yield Finding(name, "two-sample test", Verdict.INCONCLUSIVE, said)
        elif np.isnan(result.observed):
            said = "Nothing can be said: no finite statistic."
            yield Finding(name, "two-sample test", Verdict.INCONCLUSIVE, said)
        else:
            yield decision(name, "two-sample test", result.p_value, self.level)

    def figures(self) -> Iterator[Illustration]:
        """Yield all p-values."""
        found = [(name, result.p_value) for name, result in self.named]
        yield _p_values("two-sample", found, self.level)

    def tables(self) -> Iterator[Table]:
        """Yield a row for each test."""
        yield two_sample_table([(name, result, result.p_value) for name, result in self.named])


@takes(OneSample)
class OneSampleTests(Section[OneSample]):
    """Features against known distribution functions."""

    title = "One-sample tests"
    question = "known distribution function"
    first = "Test"
    caption = (
        "Features against the known distribution function. Excess: share of events below, or "
        "within the arc that ends there, minus its probability."
    )
    columns: ClassVar = {
        "Statistic": "observed",
        "p": "p_value",
        "Largest excess": "excess",
        "at": "at",
        "Events": "n",
    }

    def name(self, result: OneSample) -> str:
        """Return feature and statistic."""
        return f"{result.feature}, {result.statistic}"

    def figures(self) -> Iterator[Illustration]:
        """Yield all p-values."""
        found = [(name, result.p_value) for name, result in self.named]
        yield _p_values("one-sample", found, self.level)


@takes(LikelihoodTest)
class LikelihoodTests(Section[LikelihoodTest]):
    """Samples under a known density, among samples of it."""

    title = "Likelihood test"
    text = (
        "The truth's own density is known: events can be too likely, when they are too narrow, as "
        "well as too unlikely."
    )

    @classmethod
    def arranged(cls, results: Sequence[LikelihoodTest]) -> Sequence[LikelihoodTest]:
        """Return them without a number for each event."""
        return [result.without_events() for result in results]

    def judge(self, name: str, result: LikelihoodTest) -> Iterator[Finding]:
        """Yield verdicts on the mean and on the ranks, which share the level."""
        level = 0.5 * self.level
        yield decision(name, "mean log-density", result.p_value, level)
        yield decision(name, "ranks of the densities", result.rank_p_value, level)

    def tables(self) -> Iterator[Table]:
        """Yield a table for each."""
        for _, result in self.named:
            yield likelihood_table(result)


@takes(MarginalPair)
class MarginalPairs(Section[MarginalPair]):
    """Marginals of a reference and a generated sample."""

    title = "Marginals"
    text = "Blue: reference with its error. Points: generated events, with theirs."

    def name(self, result: MarginalPair) -> str:
        """Return the feature."""
        return result.feature.name

    def judge(self, name: str, result: MarginalPair) -> Iterator[Finding]:
        """Yield a verdict on the binned shapes."""
        p = result.p_value
        chi2 = PValue(p, p, p, "chi-square", 0, 0)
        yield decision(name, "shape of the marginal", chi2, self.level)

    def figures(self) -> Iterator[Illustration]:
        """Yield both densities of each feature, over their ratio."""
        for place, pair in enumerate(self.results, 1):
            yield pair_illustration(pair, [], f"loose-{place}")

    def tables(self) -> Iterator[Table]:
        """Yield a row for each feature."""
        yield pair_table(self.results)


@takes(Sensitivity)
class Sensitivities(Section[Sensitivity]):
    """Effects that tests would have seen."""

    title = "Visible effects"
    question = "smallest effect that is seen with a power of 90 %"
    first = "Test, effect"
    caption = "Smallest effects that are seen with a power of 50 and 90 %."
    columns: ClassVar = {
        "At 90 %": lambda r: _seen(r.at_ninety, r),
        "At 50 %": lambda r: _seen(r.at_half, r),
        "Unit": "unit",
        "Level": "level",
        "Events": lambda r: f"{count(r.n_first)} + {count(r.n_second)}",
        "Failed": "n_failed",
    }

    def name(self, result: Sensitivity) -> str:
        """Return statistic and effect."""
        return f"{result.statistic}, {result.effect}"

    def sentence(self, result: Sensitivity) -> str:
        """Return the effect that is seen nine times in ten."""
        return f"{_seen(result.at_ninety, result)} ({result.unit}).{bundled([result])}"

    def figures(self) -> Iterator[Illustration]:
        """Yield the power of each test against the effect."""
        for place, (name, result) in enumerate(self.named, 1):
            yield Illustration(
                name=f"power-{place}-{slug(name)}",
                caption=f"{name}: share of {count(result.labelings)} labelings that are seen, and "
                "a curve that never falls; dashed: 50 and 90 %.",
                alt=f"Power of {name} against the effect: 90 % at "
                f"{_seen(result.at_ninety, result)} {result.unit}.",
                figure=figure_of(plot_power, result),
                small=True,
            )


def _seen(found: Estimate | None, result: Sensitivity) -> str:
    if found is None:
        return f"More than {plain_number(float(result.effects[-1]))}"
    return estimate(found)


_LINE = 44  # characters of the name of an axis


@draws(Sensitivity)
def plot_power(result: Sensitivity, *, ax: Axes | None = None) -> Axes:
    """Draw the power of a test against the size of an effect; dashed: 50 and 90 %."""
    with canvas(ax, width=4.2, height=3.4) as axes:
        axes.plot(result.effects, result.power, "o", color=style.DATA, ms=4.0)
        axes.plot(result.effects, result.smoothed, color=style.REFERENCE)
        for power in (0.5, 0.9):
            axes.axhline(power, color=style.MUTED, lw=1.0, ls=(0, (4, 2)))
        axes.set_ylim(0.0, 1.03)
        axes.set_xlabel(fill(f"{result.effect} [{result.unit}]", _LINE))
        axes.set_ylabel("power")
    return axes


@takes(Windows)
class DeviatingWindows(Section[Windows]):
    """Intervals of features in which samples differ most."""

    title = "Deviating windows"

    def judge(self, name: str, result: Windows) -> Iterator[Finding]:
        """Yield a verdict on the strongest window, corrected for the scan, if it has a p-value."""
        first = result.windows[0] if result.windows else None
        if first is None:
            yield measurement(name, "largest local deviation", "No interval deviates.")
            return
        low, high = plain_number(first.low), plain_number(first.high)
        unit = stated_units(self.content).get(first.feature)
        where = f"{first.kind} of {first.feature} from {low} to {high}{f' {unit}' if unit else ''}"
        if first.p_value is None:
            said = f"{where[0].upper()}{where[1:]}, z = {fixed(first.z, places=1)}."
            yield measurement(name, "largest local deviation", said)
        else:
            failed = f"{where[0].upper()}{where[1:]}"
            yield decision(
                name, "largest local deviation", first.p_value, self.level, failed=failed
            )

    def tables(self) -> Iterator[Table]:
        """Yield the strongest windows of each scan."""
        for result in self.results:
            yield window_table(result, stated_units(self.content))


@takes(FrechetDistance)
class FrechetDistances(Section[FrechetDistance]):
    """Squared Fréchet distances, extrapolated to infinite samples."""

    title = "Fréchet distance"
    question = "squared distance"
    caption = (
        "Squared Fréchet distances. Bias: what the extrapolation to infinite samples removed of "
        "the plain distance of all events."
    )
    columns: ClassVar = {
        "Extrapolated": "extrapolated",
        "Plain": "plain",
        "Bias": "bias",
        "Events": lambda r: f"{count(r.n_first)} + {count(r.n_second)}",
        "Blocks": "blocks",
    }


@takes(InceptionScore)
class InceptionScores(Section[InceptionScore]):
    """Inception scores."""

    title = "Inception score"
    question = "score"
    caption = (
        "Inception scores: mean over the splits, their spread, and that of all events at once, "
        "which exceeds it if splits are small."
    )
    columns: ClassVar = {
        "Score": "score",
        "Spread": "spread",
        "All events": "whole",
        "Classes": "classes",
        "Splits": "splits",
    }


@takes(Support)
class SupportMetrics(Section[Support]):
    """Precision, recall, density, coverage beside their null values."""

    title = "Support metrics"
    question = "difference from a perfect generator"
    text = ABOUT_SUPPORT

    def sentence(self, result: Support) -> str:
        """Return the differences from a perfect generator."""
        said = ", ".join(
            f"{metric.name} {estimate(metric.difference)}" for metric in result.metrics
        )
        return f"{said.capitalize()}."

    def tables(self) -> Iterator[Table]:
        """Yield a table for each."""
        for result in self.results:
            yield support_table(result)
