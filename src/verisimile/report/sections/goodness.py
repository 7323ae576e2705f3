"""Fits, tests, places of deviation and inputs as tables of text."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from verisimile.checks.goodness.localise import Hotspots
from verisimile.checks.goodness.marginals import CHI2_EXPECTED, MarginalComparison
from verisimile.checks.goodness.result import AlternativeFit, Goodness
from verisimile.core.arrays import Array
from verisimile.data.feature import Feature
from verisimile.mixture.fit import WeightFit
from verisimile.report.content import InputSample, MemberTraining, Timings
from verisimile.report.environment import Environment
from verisimile.report.numbers import (
    count,
    duration,
    fixed,
    p_interval,
    p_value,
    plain_number,
    value_and_error,
    z_interval,
)
from verisimile.report.page import Table
from verisimile.report.verdict import Finding


def summary_table(found: Sequence[Finding], level: float) -> Table:
    """Return one row per test: verdict, numbers, and what they mean."""
    return Table(
        caption=f"Verdicts at a significance level of {level:g}; those in brackets stand for "
        "comparison. Ranges of p and Z are 68 % intervals from the finite number of toys.",
        columns=("Test sample", "Hypothesis", "Verdict", "p", "Z", "t", "Toys", "Null", "In words"),
        rows=tuple(_summary_row(finding) for finding in found),
        marks=tuple(finding.verdict.value if finding.decisive else "aside" for finding in found),
        words=frozenset({1, 2, 7, 8}),
    )


def _summary_row(finding: Finding) -> tuple[str, ...]:
    test = finding.goodness
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


def fit_table(fit: WeightFit) -> Table:
    """Return the record of the weight fit."""
    r = fit.record
    rows = (
        ("Events", count(r.n_events)),
        ("Members", count(r.n_members)),
        ("Effective rank (at most members − 1)", count(r.effective_rank)),
        ("Condition of the curvature", plain_number(r.condition, digits=3)),
        ("Sum of |weights|", plain_number(r.l1_norm, digits=5)),
        ("Errors of the weights", r.covariance),
        ("Variance that positivity leaves free, at least", plain_number(r.free_share, digits=3)),
        ("Negative mass", value_and_error(r.negative_mass, r.negative_mass_error)),
        ("Largest leverage of one event", plain_number(r.max_leverage, digits=3)),
        ("Smallest density at an event (of its largest member)", plain_number(r.min_density)),
        ("Negative log-likelihood [nats]", plain_number(fit.nll, digits=8)),
        ("Converged", "yes" if r.converged else "no"),
        ("Newton steps", count(r.iterations)),
        ("Newton decrement", plain_number(r.decrement, digits=2)),
        ("Certified distance to the optimum [nats]", plain_number(r.gap, digits=2)),
        ("Pseudo-events (worth real events)", f"{count(r.n_pseudo)} ({r.pseudo_strength:g})"),
    )
    return Table("Fit of the mixture weights.", ("Quantity", "Value"), rows)


def weight_table(fit: WeightFit) -> Table:
    """Return the fitted weights with their standard deviations."""
    errors = np.sqrt(np.clip(np.diag(fit.covariance), 0.0, None))
    rows = tuple(
        (str(i), value_and_error(float(w), float(e)))
        for i, (w, e) in enumerate(zip(fit.weights, errors, strict=True))
    )
    return Table("Mixture weights.", ("Member", "Weight ± σ"), rows, folded=True)


def member_table(members: Sequence[MemberTraining]) -> Table:
    """Return one row per trained member."""
    return Table(
        caption="Ensemble members.",
        columns=("Record", "Epochs", "Best epoch", "Best validation loss", "Time", "sha256"),
        rows=tuple(
            (
                m.address,
                count(m.validation.size),
                count(m.best_epoch + 1),
                plain_number(_at(m.validation, m.best_epoch), digits=5),
                duration(m.seconds),
                m.sha256[:16],
            )
            for m in members
        ),
        words=frozenset({5}),
        folded=True,
    )


def input_table(inputs: Sequence[InputSample]) -> Table:
    """Return one row per sample that went in."""
    return Table(
        caption="Samples. The digest is the sha256 of values, weights, names and groups.",
        columns=("Use", "Source", "Events", "Effective events", "Digest"),
        rows=tuple(
            (
                s.role,
                s.source,
                count(s.n) if s.groups is None else f"{count(s.n)} in {count(s.groups)} groups",
                count(s.n_effective) if s.weighted else "unweighted",
                s.digest,
            )
            for s in inputs
        ),
        words=frozenset({1, 4}),
    )


def feature_table(features: Sequence[Feature]) -> Table:
    """Return one row per feature."""
    return Table(
        caption="Features.",
        columns=("Feature", "Unit", "Kind", "Low", "High", "Transform"),
        rows=tuple(
            (
                f.name,
                f.unit or "–",
                f.kind,
                plain_number(f.low, digits=6),
                plain_number(f.high, digits=6),
                f.transform,
            )
            for f in features
        ),
        words=frozenset({1, 2, 5}),
    )


def timing_table(timings: Timings) -> Table:
    """Return the wall-clock time of each stage."""
    rows = tuple((stage.name, duration(stage.seconds)) for stage in timings.stages)
    return Table(
        "Wall-clock times; work that was already in the store takes none.",
        ("Stage", "Time"),
        (*rows, ("all", duration(timings.total))),
    )


def environment_table(environment: Environment) -> Table:
    """Return seeds, machine and versions."""
    rows = (
        ("Random streams (entropy:path)", environment.seeds),
        ("Executor", environment.executor),
        ("Machine", f"{environment.machine}, {environment.cpus} processors"),
        ("Python", environment.python),
        *environment.versions.items(),
    )
    return Table("Seeds and versions.", ("What", "Value"), tuple(rows), words=frozenset({1}))


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


def _at(values: Array, index: int) -> float:
    return float(values[index]) if 0 <= index < values.size else math.nan


def hotspot_table(found: Hotspots) -> Table:
    """Return one row per place, the largest score first."""
    return Table(
        caption=f"Where the sample deviates most: the {found.z.size} of {found.kernels} kernels "
        "with the largest score, in standard deviations of that kernel alone; positive for too "
        "many events. The largest of many is large by chance too: whether there is a deviation, "
        "p says. Events are counted with the kernel scaled to one at its centre.",
        columns=("Score", *found.names, "Width", "Events seen", "Events expected"),
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
