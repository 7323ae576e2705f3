"""The stages of a study as plain functions of a run, for commands and notebooks alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from verisimile.app.options import command_line
from verisimile.app.study import FitStudy, open_run
from verisimile.app.terminal import Clock
from verisimile.checks.goodness.likelihood_ratio import compare_hypotheses, single
from verisimile.checks.goodness.localise import localise
from verisimile.checks.goodness.marginals import marginal_comparisons
from verisimile.checks.goodness.null import Calibration, Predictive
from verisimile.checks.goodness.search import Search
from verisimile.checks.goodness.toys import Sequential
from verisimile.core.arrays import Array
from verisimile.core.canonical import JSON
from verisimile.core.random import Seeds
from verisimile.core.result import to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events, match_features
from verisimile.density.protocol import AnyTrainer, EngineTrainer, Sampler, Trainer
from verisimile.ensemble.cross import (
    CrossEnsemble,
    Trained,
    check_cross_ensemble,
    fit_cross_ensemble,
    load_trained,
)
from verisimile.ensemble.ensemble import Ensemble
from verisimile.ensemble.fit import check_ensemble, fit_ensemble
from verisimile.ensemble.plan import BootstrapPlan
from verisimile.ensemble.training import check_engine
from verisimile.mixture.bind import fit_conditional_mixture, fit_mixture
from verisimile.mixture.conditional import ConditionalMixture
from verisimile.mixture.cross import fit_cross_mixture
from verisimile.mixture.discrepancy.corrected import CorrectedMixture
from verisimile.mixture.discrepancy.fit import Discrepancy
from verisimile.mixture.discrepancy.posterior import DiscrepancySummary
from verisimile.mixture.fit import unit_mean
from verisimile.mixture.io import load_mixture, save_mixture
from verisimile.mixture.model import Mixture
from verisimile.report.content import (
    InputSample,
    MemberTraining,
    ReportInput,
    SampleResult,
    Timings,
)

if TYPE_CHECKING:
    from verisimile.density.flows.engines import Engine

_DRAWS = 10_000


@dataclass(frozen=True, slots=True)
class ProfileSettings:
    """How test samples are compared with a mixture.

    Attributes
    ----------
    toys
        B, pseudo-experiments, or when to stop.
    hypotheses
        Null hypotheses, in reporting order.
    null
        Calibration of the toys.
    search
        What deviations are looked for.
    marginals
        Whether each feature's marginal is compared, and the places of deviation named.
    """

    toys: int | Sequential = 1000
    hypotheses: tuple[str, ...] = ("ensemble+uncertainty",)
    null: Calibration = Predictive()
    search: Search = Search()
    marginals: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Fitting:
    """What an ensemble and its mixture are made from.

    Attributes
    ----------
    samples
        Training and weight-fit sample; or one sample that serves both ends, over folds.
    members
        Flows to train in all, a multiple of the folds.
    trainer
        Of each member.
    folds
        K; one for two samples.
    engine
        What takes the steps of the training; the fastest one if None.
    discrepancy
        Settings of its fit; None for the pipeline as published.
    weighted
        Whether there is a mixture: members without a density have no weights to fit.
    """

    samples: tuple[Events, ...]
    _: KW_ONLY
    members: int
    trainer: AnyTrainer
    folds: int = 1
    engine: Engine | None = None
    discrepancy: Discrepancy | None = Discrepancy()
    weighted: bool = True

    @property
    def plan(self) -> BootstrapPlan:
        """The plan of each fold."""
        return BootstrapPlan(members=self.members // self.folds)

    @property
    def trained_on(self) -> int:
        """Number of events that each flow is trained on."""
        n = self.samples[0].n
        return n if self.folds == 1 else n - n // self.folds

    @property
    def engine_name(self) -> str:
        """What takes the steps of the training."""
        if not isinstance(self.trainer, EngineTrainer):
            return "own"
        return self.trainer.engine(self.samples[0].d, self.engine).name

    def check(self, run: Run) -> None:
        """Raise what :meth:`fit` would before it trains; nothing is written."""
        events = self.samples[0]
        check_engine(self.trainer, events, self.engine)
        if self.folds > 1:
            check_cross_ensemble(
                run, events, self.plan, cast(Trainer, self.trainer), folds=self.folds
            )
        else:
            check_ensemble(run, events, self.plan, self.trainer)
        if not self.weighted:
            return
        weighted = match_features(self.samples[-1], events.features, where="weight-fit sample")
        unit_mean(weighted.weights, weighted.n)

    def train(self, run: Run, clock: Clock) -> Trained:
        """Train the ensemble and keep it in the run's store."""
        training = self.samples[0]
        with clock.stage("ensemble training"):
            if self.folds == 1:
                return fit_ensemble(run, training, self.plan, self.trainer, engine=self.engine)
            return fit_cross_ensemble(
                run,
                training,
                self.plan,
                cast(Trainer, self.trainer),
                folds=self.folds,
                engine=self.engine,
            )

    def fit(self, run: Run, clock: Clock) -> tuple[Trained, Mixture]:
        """Train the ensemble, fit weights and discrepancy, and keep all in the run's store."""
        ensemble, weighting = self.train(run, clock), self.samples[-1]
        with clock.stage("weight fit"):
            mixture = (
                fit_cross_mixture(run, ensemble, weighting, discrepancy=self.discrepancy)
                if isinstance(ensemble, CrossEnsemble)
                else fit_mixture(run, ensemble, weighting, discrepancy=self.discrepancy)
            )
            save_mixture(run, mixture)
        return ensemble, mixture

    def fit_conditional(self, run: Run, clock: Clock) -> tuple[Ensemble, ConditionalMixture]:
        """Train conditional members, fit their weights, and keep all in the run's store."""
        with clock.stage("ensemble training"):
            ensemble = fit_ensemble(
                run, self.samples[0], self.plan, self.trainer, engine=self.engine
            )
        with clock.stage("weight fit"):
            mixture = fit_conditional_mixture(run, ensemble, self.samples[-1])
            save_mixture(run, mixture)
        return ensemble, mixture


def compare(
    run: Run,
    mixture: Mixture,
    events: Events,
    settings: ProfileSettings,
    *,
    name: str,
    clock: Clock,
) -> SampleResult:
    """Test one sample under all hypotheses and compare its marginals."""
    with clock.stage(f"test of {name}"):
        goodness = compare_hypotheses(
            run,
            mixture,
            events,
            alternative=settings.search,
            hypotheses=settings.hypotheses,
            null=settings.null,
            toys=settings.toys,
        )
    if not settings.marginals:
        return SampleResult(name, goodness)
    last = goodness[-1]
    with clock.stage("marginals"):
        tested = single(mixture) if last.hypothesis == "single" else mixture
        marginals = marginal_comparisons(run, tested, last, events, draws=_DRAWS)
    hotspots = None
    with clock.stage("places of deviation"):
        if math.isfinite(last.leading.statistic):  # else the null has no density at some event
            names = [spec.name for spec in mixture.features]
            hotspots = localise(run, last, events).strongest(names)
    return SampleResult(name, goodness, marginals, hotspots=hotspots)


def training_of(ensemble: Trained) -> tuple[MemberTraining, ...]:
    """Return how the flows of an ensemble were trained."""
    return tuple(
        MemberTraining(
            address=record.address,
            sha256=record.sha256,
            training=record.training_curve,
            validation=record.validation_curve,
            best_epoch=record.best_epoch,
            seconds=record.seconds,
        )
        for record in ensemble.records
    )


def learnt(mixture: Mixture | ConditionalMixture) -> DiscrepancySummary | None:
    """Return what the discrepancy of a mixture says to a reader, None if there is none."""
    return mixture.discrepancy.summary if isinstance(mixture, CorrectedMixture) else None


def claims(mixture: Mixture) -> tuple[DiscrepancySummary, ...]:
    """Return the same as a report's results."""
    found = learnt(mixture)
    return () if found is None else (found,)


def learnt_json(mixture: Mixture | ConditionalMixture) -> JSON:
    """Return the same for machines: the claims, the bins that are off, and the whole summary."""
    found = learnt(mixture)
    if found is None:
        return None
    return {
        "claimed": found.claimed,
        "claimed_by_weights": found.claimed_by_weights,
        "supports": found.supports,
        "notable": [shift._asdict() for shift in found.notable()],
        "summary": to_dict(found),
    }


def shares_of(ensemble: Trained, mixture: Mixture | ConditionalMixture) -> tuple[Array, Array]:
    """Return the weight of each flow, and its error; those of a fold's are parts of a member's."""
    errors = np.sqrt(np.clip(np.diag(mixture.fit.covariance), 0.0, None))
    folds = len(ensemble.records) // len(mixture.members)
    return np.tile(mixture.weights / folds, folds), np.tile(errors / folds, folds)


def failure_notes(ensemble: Trained) -> tuple[str, ...]:
    """Return one warning per member whose training failed."""
    return tuple(
        f"{failure.address} is missing from the ensemble, its training failed: "
        f"{failure.kind}: {failure.message}"
        for failure in ensemble.failures
    )


def fitted_content(
    study: FitStudy,
    ensemble: Trained,
    mixture: Mixture,
    *,
    timings: Timings,
    inputs: tuple[InputSample, ...],
    notes: tuple[str, ...],
) -> ReportInput:
    """Return what every report on a fitted run says: its fit, then what came on top of it."""
    return ReportInput(
        training=training_of(ensemble),
        fit=mixture.fit,
        inputs=(*study.inputs, *inputs),
        timings=Timings((*study.timings.stages, *timings.stages)),
        warnings=(*failure_notes(ensemble), *notes),
        command=f"{study.command}\n{command_line()}",
        results=claims(mixture),
    )


def draw_equally(members: Sequence[Sampler], n: int, seeds: Seeds) -> Array:
    """Return `n` events ``(n, d)`` of all members, in random shares that are equal on average."""
    rng = seeds.at("shares").numpy()
    counts = rng.multinomial(n, np.full(len(members), 1.0 / len(members)))
    parts = [
        member.sample(int(count), seeds.at("member", number).numpy())
        for number, (member, count) in enumerate(zip(members, counts, strict=True))
        if count
    ]
    return np.asarray(rng.permutation(np.concatenate(parts)))


def draw_members(mixture: Mixture, run: Run, n: int) -> tuple[Events, ...]:
    """Return `n` events of each member of a mixture."""
    return tuple(
        Events(member.sample(n, run.seeds.at("members", index).numpy()), features=mixture.features)
        for index, member in enumerate(mixture.members)
    )


def content_of_folder(home: Path) -> tuple[Run, ReportInput]:
    """Return the run in a folder of a fit, and what a page says of its members and weights."""
    study, run = open_run(home)
    trained, mixture = load_trained(run), load_mixture(run)
    content = ReportInput(
        training=training_of(trained),
        fit=mixture.fit,
        inputs=study.inputs,
        timings=study.timings,
        warnings=failure_notes(trained),
        command=study.command,
        results=claims(mixture),
        title=f"Fit: {home.resolve().name}",
    )
    return run, content
