"""Numbers that stand alone: p-values, tails, estimates, intervals, likelihoods, contracts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

from verisimile.checks.coverage.spread import BinErrors
from verisimile.checks.known_truth.likelihood import Likelihood
from verisimile.core.result import Estimate
from verisimile.density.check import EstimatorCheck
from verisimile.mixture.minos import MinosInterval
from verisimile.report.numbers import (
    estimate,
    fixed,
    interval,
    p_value,
    plain_number,
    rough,
    shown,
    z_interval,
)
from verisimile.report.section import Section, takes
from verisimile.report.verdict import Finding, Verdict, decision
from verisimile.stats.aggregate import Combined
from verisimile.stats.pvalues import PValue, Significance
from verisimile.stats.tails import Tail


@takes(PValue)
class PValues(Section[PValue]):
    """P-values of which nothing else is known."""

    title = "p-value"
    caption = "p-values with 68 % intervals from the finite number of draws of the null."
    columns: ClassVar = {
        "p": shown,
        "Z": lambda p: plain_number(p.significance.value, digits=3),
        "Null": "null",
        "Draws": "n_null",
        "Failed": "n_failed",
    }

    def judge(self, name: str, result: PValue) -> Iterator[Finding]:
        """Yield a verdict."""
        yield decision(name, "null hypothesis", result, self.level)


@takes(Significance)
class Significances(Section[Significance]):
    """Significances of which the p-value is not given: described, not judged."""

    title = "Significance"
    question = "Gaussian significance"
    caption = (
        "One-sided Gaussian significances with 68 % intervals from the finite number of draws; "
        "above: no draw was as extreme, which bounds Z from below only."
    )
    columns: ClassVar = {"Z": lambda z: _bound(z), "Interval": z_interval}


def _bound(z: Significance) -> str:
    """Return Z; where no draw was as extreme, the bound that it is, never rounded up."""
    if z.high < math.inf:
        return fixed(z.value)
    least = z.value if math.isfinite(z.value) else z.low
    return f"> {fixed(math.floor(100.0 * least) / 100.0)}"


@takes(Combined)
class CombinedPValues(Section[Combined]):
    """One p-value for several statistics of the same data."""

    title = "Combined p-value"
    question = "all statistics together"
    caption = "p-values of several statistics together, and of each alone."
    columns: ClassVar = {
        "p": "p_value",
        "Rule": "rule",
        "Alone": lambda r: ", ".join(p_value(p) for p in r.columns),
    }


@takes(Tail)
class Tails(Section[Tail]):
    """P-values read off curves through toys; never those of a test."""

    title = "Extrapolated tail"
    question = "extrapolation, no p-value of a test"
    caption = "Tails extrapolated beyond the toys. Range: of all curves that describe them."
    columns: ClassVar = {
        "Range": lambda r: f"{rough(r.range_low)} to {rough(r.range_high)}",
        "Curves agree": "agreed",
        "Value": "value",
        "Interval": lambda r: interval(r.low, r.high),
        "Family": "family",
        "p of the fit": "fit",
        "Toys": "n_toys",
        "Failed": "n_failed",
    }


@takes(Estimate)
class Estimates(Section[Estimate]):
    """Numbers with errors."""

    title = "Estimate"
    question = "value"
    caption = "Estimates with standard errors."
    columns: ClassVar = {"Value": estimate}


@takes(BinErrors)
class BinErrorsSection(Section[BinErrors]):
    """Errors of bin contents, averaged over bins and repetitions, beside what they should be."""

    title = "Errors of bins"
    question = "errors of bin contents"
    caption = (
        "Errors of bin contents over repetitions, in units of the reference. Held: fractions of "
        "intervals that hold the true content, one for each level."
    )
    columns: ClassVar = {
        "Held": lambda r: ", ".join(map(estimate, r.rates)),
        "Claimed": lambda r: estimate(r.claimed),
        "Actual": lambda r: estimate(r.actual),
        "Actual over claimed": lambda r: estimate(r.scale),
        "Share of bias": lambda r: estimate(r.bias_share),
    }


@takes(MinosInterval)
class MinosIntervals(Section[MinosInterval]):
    """Profile-likelihood intervals."""

    title = "Profile interval"
    question = "profile likelihood"
    caption = "Profile-likelihood intervals (MINOS)."
    columns: ClassVar = {
        "Value": "value",
        "Interval": lambda r: interval(r.low, r.high),
        "Both ends found": "valid",
    }


@takes(Likelihood)
class Likelihoods(Section[Likelihood]):
    """Mean negative log-likelihoods of samples."""

    title = "Likelihood"
    question = "negative log-likelihood"
    caption = "Mean negative log-likelihoods."
    columns: ClassVar = {
        "Nats per event": "nll",
        "Bits per dimension": "bits_per_dimension",
        "Events": "n_events",
        "Features": "n_features",
        "Events of no density": "n_forbidden",
    }


@takes(EstimatorCheck)
class EstimatorChecks(Section[EstimatorCheck]):
    """Promises that density estimators keep."""

    title = "Estimator"
    caption = (
        "Estimators. Integral: of the density, one is right. Entropy: mean log-density of draws "
        "minus its expectation, zero is right."
    )
    columns: ClassVar = {
        "Features": "n_features",
        "Draws": "draws",
        "Not finite": "bad_draws",
        "No density": "undefined",
        "Integral": "integral",
        "Entropy": "entropy_gap",
        "Repeatable": lambda r: shown(r.repeatable_sample and r.repeatable_density),
    }

    def judge(self, name: str, result: EstimatorCheck) -> Iterator[Finding]:
        """Yield a verdict: failed if a promise is not kept."""
        verdict = Verdict.FAILED if result.problems else Verdict.PASSED
        said = " ".join(result.problems) or "All promises are kept."
        kept = "does not keep its promises" if result.problems else "keeps its promises"
        yield Finding(name, "promises of an estimator", verdict, said, outcome=kept)
