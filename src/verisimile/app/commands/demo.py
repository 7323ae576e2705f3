"""``verisimile demo``: the whole chain on simulated Z → μ⁺μ⁻, with a sample known to be wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verisimile.app import options, terminal
from verisimile.app.preflight import check_report
from verisimile.app.stopping import time_is_enough
from verisimile.app.terminal import Clock, ExitCode

if TYPE_CHECKING:
    from verisimile.core.random import Seeds
    from verisimile.core.run import Run
    from verisimile.data.events import Events
    from verisimile.mixture.discrepancy.posterior import DiscrepancySummary
    from verisimile.mixture.model import Mixture
    from verisimile.report.content import NamedAmplification, ReportInput
    from verisimile.report.document import Document

# Half of the default schedule: on 24 000 events the second half moved the mixture's
# held-out log-likelihood by 0.001.
_EPOCHS = 10
_LEVEL = 0.05
_HYPOTHESES = ("single", "ensemble", "ensemble+uncertainty")
_PLACEMENTS = 2  # half of the default, for a demo of minutes
# Training, weight fit, held-out test, and what amplification is measured against: 50 000, 20 000,
# 5 000 and 5 000 events.  The test is a quarter of the weight fit, of which the errors are learnt:
# it resolves less than they know.
_SHARES = (0.625, 0.25, 0.0625, 0.0625)
_GENERATED, _OF_EACH_MEMBER = 30_000, 20_000
_TRUTH, _OTHER = "held-out truth", "generator tune"
_SOURCES = {_TRUTH: "embedded example, truth", _OTHER: "embedded example, generator_tune"}
_ABOUT = {
    _TRUTH: "Events of the process that the ensemble learned, seen neither by its training nor by "
    "the weight fit. They should be compatible.",
    _OTHER: "The same process from a generator with another tune (primordial kT 3.0, initial-state "
    "α_s 0.118): pt_ll is softer, the other features are unchanged. They should not be compatible.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoCommand(options.BesideReport):
    """Train, fit, test and report on Z -> mu mu events of Pythia that come with the package.

    Two test samples: truth that was held out, and another generator tune with a known defect.  The
    report shows what the errors hold beside those of the weights alone.  A demonstration: the exit
    code is 0 when it ran to its end.
    """

    out: Annotated[Path, typer.Option(help="Folder for the report and the run.")] = Path(
        "demo-report"
    )
    members: options.Members = 8
    toys: options.Toys = 80
    epochs: options.Epochs = None
    seed: options.Seed = options.SEED
    executor: options.Executor = ""
    max_seconds: options.MaxSeconds = None
    force: options.Force = False
    as_json: options.Json = False
    dry_run: options.DryRun = False

    def execute(self) -> ExitCode:
        """Train, fit, test both samples, write the report, and say plainly what came out."""
        from verisimile.app import stages
        from verisimile.app.study import check_free, finish, new_study
        from verisimile.checks.goodness.search import Search
        from verisimile.report.content import InputSample, ReportInput
        from verisimile.report.write import write_document

        options.check_toys(self.toys, _LEVEL)
        trainer = options.trainer({"epochs": self.epochs or _EPOCHS})
        check_report(self.out, force=self.force)
        run = options.run_in(self.home, seed=self.seed, executor=self.executor)
        clock = Clock()
        with clock.stage("reading"):
            samples = _example(run.seeds)
        study = new_study(
            (
                InputSample.of("training", _SOURCES[_TRUTH], samples.training),
                InputSample.of("weight fit", _SOURCES[_TRUTH], samples.weighting),
            ),
            trainer,
            seed=self.seed,
            members=self.members,
        )
        settings = stages.ProfileSettings(
            toys=self.toys, hypotheses=_HYPOTHESES, search=Search(placements=_PLACEMENTS)
        )
        check_free(run.store, study)
        if self.dry_run:
            return self._plan(run, samples, trainer.epochs)
        fitting = stages.Fitting(
            (samples.training, samples.weighting), members=self.members, trainer=trainer
        )
        ensemble, mixture = fitting.fit(run, clock)
        finish(run.store, study, clock.timings)
        results = [
            replace(
                stages.compare(run, mixture, events, settings, name=name, clock=clock),
                about=_ABOUT[name],
            )
            for name, events in samples.tests.items()
        ]
        with clock.stage("amplification"):
            worth = _amplification(run, mixture, samples)
        content = ReportInput(
            samples=tuple(results),
            amplifications=(worth,),
            training=stages.training_of(ensemble),
            fit=mixture.fit,
            inputs=(
                *study.inputs,
                *(
                    InputSample.of(f"test: {name}", _SOURCES[name], events)
                    for name, events in samples.tests.items()
                ),
            ),
            timings=clock.timings,
            warnings=stages.failure_notes(ensemble),
            command=options.command_line(),
            level=_LEVEL,
            title="Demonstration: Z → μ⁺μ⁻ events",
            results=stages.claims(mixture),
        )
        time_is_enough()
        report = _document(run, content)
        page = write_document(report, self.out, force=self.force)
        self._print(report, page, stages.learnt(mixture))
        return ExitCode.COMPATIBLE

    def _plan(self, run: Run, samples: DemoSamples, epochs: int) -> ExitCode:
        from verisimile.app.plans import print_plan, toy_stage, training_stage
        from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
        from verisimile.density.flows.trainer import SplineFlowTrainer

        toys = [
            toy_stage(
                run,
                toys=self.toys,
                events=samples.tests[_TRUTH].n,
                members=members,
                kernels=GaussianKernels().count,
                placements=_PLACEMENTS,
                corrected=members > 1,
            )
            for members in (1, self.members)
        ]
        training = training_stage(
            run,
            members=self.members,
            events=samples.training.n,
            epochs=epochs,
            engine=SplineFlowTrainer().engine(samples.training.d).name,
        )
        return print_plan(run, [training, *toys], as_json=self.as_json)

    def _print(self, report: Document, page: Path, learnt: DiscrepancySummary | None) -> None:
        from verisimile.report.claims import claimed

        if self.as_json:
            terminal.print_summary("verisimile.demo/1", report, page, {"verdict": report.verdict})
            return
        terminal.print_verdicts(report)
        terminal.print_lines(claimed(learnt), "")
        terminal.print_place(report, page)


@dataclass(frozen=True, slots=True, eq=False)
class DemoSamples:
    """Disjoint parts of the example's truth, and as many events of the other tune to test."""

    training: Events
    weighting: Events
    tests: dict[str, Events]
    unseen: Events


def _example(seeds: Seeds) -> DemoSamples:
    import numpy as np

    from verisimile.data.events import Events
    from verisimile.data.example import load_example

    example = load_example()
    training, weighting, held_out, rest = example["truth"].split(_SHARES, seeds)
    other = example["generator_tune"]
    (tuned,) = other.split((held_out.n / other.n,), seeds.at("other"))
    unseen = Events(np.vstack([held_out.x, rest.x]), features=held_out.features)
    return DemoSamples(training, weighting, {_TRUTH: held_out, _OTHER: tuned}, unseen)


def _amplification(run: Run, mixture: Mixture, samples: DemoSamples) -> NamedAmplification:
    from verisimile.app.stages import draw_members
    from verisimile.checks.amplification.study import amplify
    from verisimile.data.events import Events
    from verisimile.mixture.kept import kept_draws
    from verisimile.report.content import NamedAmplification

    at = run.at("demo amplification")
    x, _ = kept_draws(run, mixture, _GENERATED)  # of which the tests have looked at some
    generated = Events(x, features=mixture.features)
    study = amplify(
        at,
        [generated],
        samples.unseen,
        n_train=samples.training.n + samples.weighting.n,
        train=samples.training,
        members=draw_members(mixture, at, _OF_EACH_MEMBER),
        mixture=mixture,
    )
    return NamedAmplification("the mixture", study)


def _document(run: Run, content: ReportInput) -> Document:
    """Return the report, with a plain warning for each verdict that is not the expected one."""
    from verisimile.report.document import document
    from verisimile.report.verdict import Verdict

    failing = {_OTHER: Verdict.FAILED.value}
    notes = terminal.warn(
        [
            f"Not as expected for the {c.sample}: {c.sentence}"
            for c in document(run, content).conclusions
            if c.decisive and c.verdict != failing.get(c.sample, Verdict.PASSED.value)
        ]
    )
    return document(run, replace(content, warnings=(*content.warnings, *notes)))
