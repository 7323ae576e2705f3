"""A small report's content, made of plain values."""

from __future__ import annotations

import math

import numpy as np

from verisimile.checks.goodness.localise import Hotspots
from verisimile.checks.goodness.marginals import MarginalComparison
from verisimile.checks.goodness.result import AlternativeFit, Goodness, SurpriseFit
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.mixture.discrepancy.posterior import (
    DiscrepancyRecord,
    DiscrepancySummary,
    FeatureBand,
)
from verisimile.mixture.fit import WeightFit, fit_weights
from verisimile.report.content import (
    InputSample,
    MemberTraining,
    ReportInput,
    SampleResult,
    Stage,
    Timings,
)
from verisimile.stats.pvalues import Empirical

FEATURE = Feature("pt <ll>", unit="GeV", label=r"$p_T$", low=0.0)
_DIGEST = "a" * 64


def make_goodness(
    statistic: float = 30.0,
    *,
    hypothesis: str = "ensemble+uncertainty",
    toys: int = 99,
    failed: int = 0,
    capped: int = 0,
    digest: str = _DIGEST,
    warnings: tuple[str, ...] = (),
) -> Goodness:
    """Return a result whose toys are 0, 1, 2, ... after NaN for the failed ones."""
    values = np.arange(toys, dtype=float) - failed
    values[:failed] = math.nan
    p_value = Empirical(values, "predictive").p_value(statistic)
    part = AlternativeFit(
        alternative="Gaussian kernels",
        statistic=statistic,
        p_value=p_value,
        toys=values,
        n_kernels=31,
        rank=30,
        widths=(0.1, 0.2, 0.3),
        gap=1e-9,
        capped=capped,
        null_pulls=np.array([0.5, -1.2]),
        alternative_pulls=np.array([0.4, math.nan]),
        coefficients=np.zeros(31),
    )
    return Goodness(
        statistic=statistic,
        p_value=p_value,
        z=p_value.significance,
        toys=values,
        most_toys=toys,
        hypothesis=hypothesis,
        null="predictive",
        n_events=500,
        n_members=3,
        variations=2,
        parts=(part,),
        events_digest=digest,
        warnings=warnings,
    )


def make_surprise() -> SurpriseFit:
    """Return the surprise of a sample with three events beyond the threshold."""
    p_value = Empirical(np.arange(99.0), "predictive").p_value(30.0)
    return SurpriseFit(
        names=("mean surprise", "surprise beyond the model's 1/n tail"),
        statistics=np.array([2.9, 1.2]),
        toys=np.zeros((99, 2)),
        p_values=(p_value, p_value),
        threshold=7.3,
        largest=9.1,
        beyond=3,
        impossible=0,
    )


def make_marginal(feature: Feature = FEATURE) -> MarginalComparison:
    """Return a marginal with an empty bin, an impossible bin and a bin without draws."""
    expected = np.array([0.0, 5.0, 40.0, 300.0, 120.0, 0.4])
    counts = np.array([1.0, 6.0, 35.0, 320.0, 118.0, 0.0])
    return MarginalComparison(
        feature=feature,
        edges=np.geomspace(1.0, 64.0, 7),
        logarithmic=True,
        counts=counts,
        count_low=counts - np.sqrt(counts),
        count_high=counts + np.sqrt(counts) + 1.0,
        expected=expected,
        covariance=np.diag((0.05 * expected) ** 2),
        null=expected,
        alternative=np.array([math.nan, 6.0, 42.0, 290.0, 121.0, 0.4]),
        pulls=np.array([math.nan, 0.1, -0.5, 2.5, 0.0, -0.6]),
        underflow=(3.0, 2.5),
        overflow=(1.0, 0.7),
        chi2=6.25,
        dof=4,
        n_events=484,
        hypothesis="ensemble+uncertainty",
        events_digest=_DIGEST,
    )


def make_hotspots() -> Hotspots:
    """Return an excess and a deficit."""
    return Hotspots(
        names=(FEATURE.name,),
        centres=np.array([[33.0], [4.5]]),
        widths=np.array([0.1, 0.3]),
        z=np.array([4.25, -3.1]),
        observed=np.array([37.2, 10.0]),
        expected=np.array([20.5, 21.0]),
        kernels=31,
    )


def make_fit() -> WeightFit:
    """Return a fit of three shifted normals."""
    x = np.linspace(-2.0, 2.0, 81)
    return fit_weights(np.column_stack([-0.5 * (x - shift) ** 2 for shift in (-0.5, 0.0, 0.5)]))


def make_content() -> ReportInput:
    """Return content with everything in it, and text that must be escaped."""
    curve = 3.0 + np.exp(-np.arange(12.0))
    events = Events(np.linspace(0.1, 9.0, 50)[:, None], features=(FEATURE,))
    tests = (
        make_goodness(28.0, hypothesis="single"),
        make_goodness(30.0, warnings=("7 events are shared <b>!</b>",)),
    )
    return ReportInput(
        samples=(
            SampleResult(
                "held-out | truth", tests, (make_marginal(),), "Fresh events.", make_hotspots()
            ),
        ),
        training=(MemberTraining("members/0000", "f" * 64, curve, curve + 0.1, 11, 2.5),),
        fit=make_fit(),
        inputs=(InputSample.of("test", "data/<odd> name.parquet", events),),
        timings=Timings((Stage("ensemble training", 61.0), Stage("toys", 12.5))),
        warnings=("Look & see.",),
        command="verisimile gof runs/z 'a b.parquet'",
        title="A < B & C",
    )


def make_band(feature: Feature = FEATURE, *, off: float = 0.12) -> FeatureBand:
    """Return five bins, whose last the discrepancy has changed by the fraction `off`."""
    plain = np.array([0.05, 0.25, 0.4, 0.25, 0.05])
    counted = np.sqrt(plain * (1.0 - plain) / 4000)
    return FeatureBand(
        feature=feature.name,
        unit=feature.unit,
        edges=np.array([0.0, 2.0, 5.0, 10.0, 20.0, 300.0]),
        plain=plain,
        plain_errors=0.15 * counted,
        corrected=plain * (1.0 + np.array([0.0, 0.0, 0.0, 0.0, off])),
        errors=0.6 * counted,
        counted=counted,
    )


def make_summary(*bands: FeatureBand) -> DiscrepancySummary:
    """Return what a discrepancy of 4000 events says; of one feature if none is given."""
    record = DiscrepancyRecord(
        n_events=4000.0,
        reference=40_000,
        n_functions=412,
        effective=23.4,
        evidence=18.2,
        iterations=5,
        gap=1e-10,
        smallest_log_ratio=-0.4,
        largest_log_ratio=0.7,
        effective_reference=39_000.0,
    )
    return DiscrepancySummary(bands or (make_band(),), record)
