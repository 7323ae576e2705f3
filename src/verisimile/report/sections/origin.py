"""Where results come from: ensemble and weights, samples, times, seeds, machine and versions."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.result import Result, register
from verisimile.core.run import Run
from verisimile.core.versions import installed
from verisimile.data.account import Account, doubts_of, losses_of
from verisimile.data.description import worded
from verisimile.data.feature import Feature
from verisimile.mixture.discrepancy.posterior import DiscrepancySummary
from verisimile.mixture.fit import WeightFit
from verisimile.report import style
from verisimile.report.claims import AS_PUBLISHED
from verisimile.report.content import InputSample, MemberTraining, ReportInput, Timings
from verisimile.report.drawing import canvas, draws, figure_of
from verisimile.report.labels import plain_label
from verisimile.report.numbers import count, duration, plain_number, value_and_error
from verisimile.report.page import Illustration, Part, Table
from verisimile.report.section import Section, takes
from verisimile.report.verdict import Finding, Verdict

_PACKAGES = (
    "verisimile",
    "numpy",
    "scipy",
    "torch",
    "nflows",
    "safetensors",
    "pyarrow",
    "loky",
    "matplotlib",
)


@register("environment", 1)
@dataclass(frozen=True, slots=True)
class Environment(Result):
    """Seeds, machine and versions.

    Attributes
    ----------
    written
        Date and time (UTC, ISO 8601).
    seeds
        Address of the run's random streams.
    executor
        Who did the work.
    python, machine, cpus
        Interpreter, platform, logical processors.
    versions
        Installed versions by package.
    """

    written: str
    seeds: str
    executor: str
    python: str
    machine: str
    cpus: int
    versions: Mapping[str, str]


def current_environment(run: Run) -> Environment:
    """Return the description of this process and of `run`."""
    versions = installed(_PACKAGES)
    return Environment(
        written=datetime.now(UTC).isoformat(timespec="seconds"),
        seeds=str(run.seeds),
        executor=run.executor.name,
        python=versions.pop("python"),
        machine=platform.platform(),
        cpus=os.cpu_count() or 1,
        versions=versions,
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


def account_table(inputs: Sequence[InputSample]) -> Table:
    """Return what became of the columns and rows of each source; no rows without an account."""
    accounts = [(sample, sample.account) for sample in inputs if sample.account is not None]
    return Table(
        caption="Columns and rows of each source: kept, left out and why, dropped for missing "
        "values.",
        columns=("Use", "Kept", "Left out", "Rows", "Dropped", "Missing values"),
        rows=tuple(
            (
                sample.role,
                ", ".join(account.kept),
                "; ".join(f"{one.name}: {one.reason}" for one in account.left_out) or "nothing",
                count(account.rows),
                count(account.dropped),
                ", ".join(f"{name} {number}" for name, number in account.missing.items()) or "none",
            )
            for sample, account in accounts
        ),
        words=frozenset({1, 2, 5}),
        folded=True,
    )


def feature_table(features: Sequence[Feature]) -> Table:
    """Return one row per feature; labels only if there are some."""
    head = ("Label",) if any(f.label for f in features) else ()
    labels = [(plain_label(f.label) or "–",) if head else () for f in features]
    return Table(
        caption="Features.",
        columns=("Feature", *head, "Unit", "Kind", "Low", "High", "Transform"),
        rows=tuple(
            (
                f.name,
                *label,
                f.unit or "–",
                f.kind,
                plain_number(f.low, digits=6),
                plain_number(f.high, digits=6),
                f.transform,
            )
            for f, label in zip(features, labels, strict=True)
        ),
        words=frozenset({*range(1, 3 + len(head)), 5 + len(head)}),
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


@takes(InputSample, Timings)
class Origin(Section[InputSample | Timings]):
    """Samples and times; the page shows them beside seeds and versions.

    A column that was left out although it may be a feature leaves nothing to pass.  A
    validation says so itself, with its samples.
    """

    order = 99

    @classmethod
    def of(cls, content: ReportInput) -> Sequence[InputSample | Timings]:
        """Return the samples whose doubts no other section tells."""
        return () if content.validations else content.inputs

    @property
    def accounts(self) -> Mapping[str, Account | None]:
        """What became of each sample's columns and rows, by the samples' roles."""
        return {one.role: one.account for one in self.results if isinstance(one, InputSample)}

    def findings(self) -> Iterator[Finding]:
        """Yield one finding on all doubts together, if there are any."""
        doubts = doubts_of(self.accounts)
        if doubts:
            said = f"Nothing can be said: {'; '.join(doubts)}."
            yield Finding(
                "samples",
                "columns left out",
                Verdict.INCONCLUSIVE,
                said,
                outcome="a column was left out",
            )

    def warnings(self) -> Iterator[str]:
        """Yield how many rows were dropped."""
        yield from losses_of(self.accounts)

    def parts(self) -> Iterator[Part]:
        """Yield none: the last part of a page is made of these, beside seeds and versions."""
        yield from ()

    @classmethod
    def stored(cls, results: Sequence[object]) -> Mapping[str, object]:
        """Return samples and times, of which there may be one."""
        timings = [result for result in results if isinstance(result, Timings)]
        if len(timings) > 1:
            raise InputError("results", got=f"{len(timings)} timings", expected="at most one")
        return {
            "inputs": tuple(result for result in results if isinstance(result, InputSample)),
            "timings": timings[0] if timings else Timings(),
        }


def described_features(inputs: Sequence[InputSample]) -> list[Feature]:
    """Return the first sample's features, with units and labels that the others state."""
    stated: dict[str, list[Feature]] = {}
    for feature in (one for sample in inputs for one in sample.features):
        stated.setdefault(feature.name, []).append(feature)
    first = inputs[0].features if inputs else ()
    return [worded(feature, stated[feature.name]) for feature in first]


def origin_part(content: ReportInput, environment: Environment) -> Part:
    """Return the last part of a page."""
    tables = []
    if content.inputs:
        accounts = account_table(content.inputs)
        tables += [
            input_table(content.inputs),
            *([accounts] if accounts.rows else []),
            feature_table(described_features(content.inputs)),
        ]
    if content.timings.stages:
        tables.append(timing_table(content.timings))
    tables.append(environment_table(environment))
    return Part("Where this comes from", tables=tuple(tables))


_CROWDED = 30


@takes(WeightFit, MemberTraining)
class Model(Section[WeightFit | MemberTraining]):
    """The one weight fit, and how its members were trained: described, not tested."""

    title = ""
    order = 90

    @classmethod
    def stored(cls, results: Sequence[object]) -> Mapping[str, object]:
        """Return the training of members, and the fit, of which there may be one."""
        fits = [result for result in results if isinstance(result, WeightFit)]
        if len(fits) > 1:
            raise InputError("results", got=f"{len(fits)} weight fits", expected="at most one")
        training = tuple(result for result in results if isinstance(result, MemberTraining))
        return {"training": training, "fit": fits[0] if fits else None}

    @classmethod
    def of(cls, content: ReportInput) -> Sequence[WeightFit | MemberTraining]:
        """Return members, then the fit."""
        return [*content.training, *([] if content.fit is None else [content.fit])]

    def findings(self) -> Iterator[Finding]:
        """Yield none."""
        yield from ()

    def parts(self) -> Iterator[Part]:
        """Yield curves and weights, then the records of the fit and of the members."""
        content, shown, listed = self.content, [], []
        if content.training:
            shown.append(_training_picture(content.training))
        if content.fit is not None:
            shown.append(_weights_picture(content.fit))
            listed += [fit_table(content.fit), weight_table(content.fit)]
        if content.training:
            listed.append(member_table(content.training))
        corrected = any(isinstance(one, DiscrepancySummary) for one in content.results)
        said = AS_PUBLISHED if content.fit is not None and not corrected else ""
        yield Part("Ensemble and weights", said, tuple(shown), tuple(listed))


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
    rows = tuple(
        (str(i), value_and_error(float(w), float(e)))
        for i, (w, e) in enumerate(zip(fit.weights, fit.errors, strict=True))
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


def _at(values: Array, index: int) -> float:
    return float(values[index]) if 0 <= index < values.size else math.nan


@draws(MemberTraining)
def plot_training(
    members: MemberTraining | Sequence[MemberTraining], *, ax: Axes | None = None
) -> Axes:
    """Draw training and validation curves of one member or of all, the best epochs marked."""
    with canvas(ax, height=3.4) as axes:
        _training(axes, [members] if isinstance(members, MemberTraining) else members)
    return axes


def training_figure(members: Sequence[MemberTraining]) -> Figure:
    """Return the curves of all members as a figure."""
    return figure_of(plot_training, members)


@draws(WeightFit)
def plot_weights(result: WeightFit, *, ax: Axes | None = None) -> Axes:
    """Draw the fitted weights with their standard deviations."""
    with canvas(ax, height=3.4) as axes:
        _weights(axes, result)
    return axes


def weights_figure(fit: WeightFit) -> Figure:
    """Return the fitted weights as a figure."""
    return figure_of(plot_weights, fit)


def _training(axes: Axes, members: Sequence[MemberTraining]) -> None:
    alpha = 0.9 if len(members) <= _CROWDED else 0.4
    for index, member in enumerate(members):
        first = index == 0
        curves = (
            (member.training, style.BAND_1, "training"),
            (member.validation, style.REFERENCE, "validation"),
        )
        for curve, colour, label in curves:
            epochs = np.arange(1, curve.size + 1)
            axes.plot(
                epochs, curve, color=colour, alpha=alpha, lw=1.0, label=label if first else None
            )
        if 0 <= member.best_epoch < member.validation.size:
            axes.plot(
                member.best_epoch + 1,
                member.validation[member.best_epoch],
                "o",
                color=style.ALTERNATIVE,
                ms=4,
                label="best epoch" if first else None,
            )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss per event [nats]")
    style.legend_above(axes)


def _weights(axes: Axes, fit: WeightFit) -> None:
    members = fit.weights.size
    axes.axhline(0.0, color=style.MUTED, lw=0.8)
    axes.axhline(1.0 / members, color=style.MUTED, lw=0.8, ls="--", label="equal weights")
    axes.errorbar(
        np.arange(members),
        fit.weights,
        yerr=fit.errors,
        fmt="o",
        color=style.REFERENCE,
        ms=5 if members <= _CROWDED else 3,
        label="fitted weight ± 1σ",
    )
    axes.set_xlabel("member")
    axes.set_ylabel("weight")
    if members <= _CROWDED:
        axes.set_xticks(np.arange(members))
    style.legend_above(axes)


def _training_picture(members: Sequence[MemberTraining]) -> Illustration:
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


def _weights_picture(fit: WeightFit) -> Illustration:
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
