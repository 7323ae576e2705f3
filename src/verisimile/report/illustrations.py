"""Figures with the words that go with them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from verisimile.checks.goodness.result import Goodness
from verisimile.checks.marginals.comparison import MarginalComparison
from verisimile.mixture.fit import WeightFit
from verisimile.report.content import MemberTraining, SampleResult
from verisimile.report.figures import null_figure, training_figure, weights_figure
from verisimile.report.marginal_figure import marginal_figure
from verisimile.report.numbers import count, fixed, p_interval, p_value, plain_number, z_interval
from verisimile.report.page import Illustration

__all__ = ["of_ensemble", "of_sample", "of_weights"]


def of_sample(sample: SampleResult, number: int) -> tuple[Illustration, ...]:
    """Return the marginals, then the null distributions, of test sample `number`."""
    return (
        *(
            _marginal(sample.name, marginal, f"{number}-{place}")
            for place, marginal in enumerate(sample.marginals, 1)
        ),
        *(
            _null(sample.name, test, f"{number}-{place}")
            for place, test in enumerate(sample.goodness, 1)
        ),
    )


def of_ensemble(members: Sequence[MemberTraining]) -> Illustration:
    """Return the training curves of all members."""
    best = [m.validation[m.best_epoch] for m in members if 0 <= m.best_epoch < m.validation.size]
    spread = f" from {min(best):.4f} to {max(best):.4f} nats per event" if best else ""
    return Illustration(
        name="training",
        caption="Training and validation loss of each member; the dot marks the epoch that was "
        "kept.",
        alt=f"Loss curves of {len(members)} members, best validation losses{spread}.",
        figure=training_figure(members),
    )


def of_weights(fit: WeightFit) -> Illustration:
    """Return the fitted weights."""
    low, high = float(fit.weights.min()), float(fit.weights.max())
    return Illustration(
        name="weights",
        caption="Mixture weights with the standard deviations of their joint fit. They sum to one, "
        "may be negative, and are strongly correlated where members are alike.",
        alt=f"{fit.weights.size} weights between {plain_number(low, digits=3)} and "
        f"{plain_number(high, digits=3)}, with error bars.",
        figure=weights_figure(fit),
    )


def _marginal(sample: str, marginal: MarginalComparison, number: str) -> Illustration:
    name = marginal.feature.name
    return Illustration(
        name=f"marginal-{number}-{_slug(name)}",
        caption=f"{name}: {count(marginal.n_events)} events (DATA), the mixture (REF) with its 1σ "
        "and 2σ bands, and the profiled alternative (LRT RECO). χ² / degrees of freedom = "
        f"{plain_number(marginal.chi2, digits=3)} / {marginal.dof}.",
        alt=f"Histogram of {name} in {marginal.counts.size} bins for {sample}, with the ratio to "
        f"the mixture below; chi-square {plain_number(marginal.chi2, digits=3)} for "
        f"{marginal.dof} degrees of freedom.",
        figure=marginal_figure(marginal),
    )


def _null(sample: str, test: Goodness, number: str) -> Illustration:
    p = test.p_value
    return Illustration(
        name=f"null-{number}-{_slug(test.hypothesis)}",
        caption=f"{test.hypothesis}: likelihood ratio t of {count(p.n_null)} {test.null} toys, and "
        f"of the sample. {_whole(test)}p = {p_value(p)} ({p_interval(p)}), "
        f"Z = {fixed(test.z.value)} ({z_interval(test.z)}).",
        alt=f"Null distribution of the test statistic for {sample}, hypothesis {test.hypothesis}; "
        f"observed t = {plain_number(test.leading.statistic)}, p-value {p_value(p)}.",
        figure=null_figure(test),
        small=True,
    )


def _whole(test: Goodness) -> str:
    if len(test.parts) == 1 and test.surprise is None:
        return ""
    joined = "several alternatives" if test.surprise is None else "t and surprise"
    return f"Of {joined} together: "


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"
