"""``verisimile fit``: from a file of events to a folder with a fitted mixture."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from verisimile.app import stages
from verisimile.app.exits import ExitCode
from verisimile.app.plans import print_plan, training_stage
from verisimile.app.study import FitStudy, check_free, finish
from verisimile.app.terminal import Clock, print_json, print_lines, print_table
from verisimile.core.errors import InputError, VerisimileWarning
from verisimile.core.random import Seeds
from verisimile.core.result import to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.files import read_events
from verisimile.density.flows.trainer import SplineFlowTrainer
from verisimile.ensemble.ensemble import Ensemble
from verisimile.mixture.model import Mixture
from verisimile.report.content import InputSample
from verisimile.report.numbers import duration, plain_number, value_and_error

_FIT_FRACTION = 0.4


@dataclass(frozen=True, slots=True)
class FitRequest:
    """The options of ``verisimile fit`` as values."""

    train: str
    out: Path
    members: int
    features: list[str] | None
    support: Mapping[str, tuple[float, float]]
    weights: str | None
    group: str | None
    fit_events: str | None
    fit_fraction: float | None
    seed: int
    executor: str
    trainer: SplineFlowTrainer
    command: str
    as_json: bool
    dry_run: bool


def execute(request: FitRequest) -> ExitCode:
    """Read, train, fit, keep, and say what came out."""
    clock = Clock()
    run = Run(Seeds(request.seed), executor=request.executor, store=request.out, progress=True)
    with clock.stage("reading"):
        training, weighting = _samples(run, request)
    study = _study(request, training, weighting)
    check_free(run.store, study)
    if request.dry_run:
        epochs = request.trainer.epochs
        planned = training_stage(run, members=request.members, events=training.n, epochs=epochs)
        print_plan(run, [planned], as_json=request.as_json)
        return ExitCode.COMPATIBLE
    ensemble, mixture = stages.fit(
        run, training, weighting, members=request.members, trainer=request.trainer, clock=clock
    )
    study = finish(run.store, study, clock.timings)
    _warn(stages.failure_notes(ensemble))
    _print(request, study, ensemble, mixture)
    return ExitCode.COMPATIBLE


def _samples(run: Run, request: FitRequest) -> tuple[Events, Events]:
    if request.fit_events is not None and request.fit_fraction is not None:
        raise InputError(
            "--fit-fraction",
            got="also --fit-events",
            expected="one of the two",
            remedy="A separate file for the weight fit leaves all of TRAIN for training.",
        )
    events = stages.bounded(
        read_events(
            request.train,
            features=request.features,
            weights=request.weights,
            group=request.group,
        ),
        request.support,
    )
    if request.fit_events is None:
        share = _FIT_FRACTION if request.fit_fraction is None else request.fit_fraction
        training, weighting = events.split((1.0 - share, share), run.seeds)
        return training, weighting
    names = list(events.names)
    more = read_events(
        request.fit_events, features=names, weights=request.weights, group=request.group
    )
    return events, Events(more.x, more.weights, features=events.features, group=more.group)


def _study(request: FitRequest, training: Events, weighting: Events) -> FitStudy:
    weight_source = request.fit_events or f"{request.train} (split off)"
    return FitStudy(
        seed=request.seed,
        configuration={
            "members": request.members,
            "training sample": training.digest,
            "weight-fit sample": weighting.digest,
            "features": [spec.to_dict() for spec in training.features],
            "trainer": request.trainer.config(),
        },
        inputs=(
            InputSample.of("training", request.train, training),
            InputSample.of("weight fit", weight_source, weighting),
        ),
        weights=request.weights,
        command=request.command,
    )


def _warn(notes: tuple[str, ...]) -> None:
    for note in notes:
        warnings.warn(note, VerisimileWarning, stacklevel=2)


def _print(request: FitRequest, study: FitStudy, ensemble: Ensemble, mixture: Mixture) -> None:
    members = stages.training_of(ensemble)
    if request.as_json:
        print_json(
            "verisimile.fit-summary/1",
            {
                "folder": str(request.out),
                "study": to_dict(study),
                "members": [{"address": m.address, "sha256": m.sha256} for m in members],
                "fit": to_dict(mixture.fit),
            },
        )
        return
    errors = np.sqrt(np.clip(np.diag(mixture.fit.covariance), 0.0, None))
    print_table(
        ("member", "epochs", "best", "validation loss", "time", "weight", "sha256"),
        [
            (
                m.address,
                str(m.validation.size),
                str(m.best_epoch + 1),
                plain_number(float(m.validation[m.best_epoch]), digits=5),
                duration(m.seconds),
                value_and_error(float(weight), float(error)),
                m.sha256[:12],
            )
            for m, weight, error in zip(members, mixture.weights, errors, strict=True)
        ],
    )
    r = mixture.fit.record
    print_lines(
        f"Weights fitted on {r.n_events} events: effective rank {r.effective_rank}, "
        f"sum of |w| {r.l1_norm:.3f}, negative mass "
        f"{value_and_error(r.negative_mass, r.negative_mass_error)}.",
        f"Kept in {request.out} ({duration(study.timings.total)}). "
        f"Next: verisimile gof {request.out} TEST",
    )
