"""``verisimile amplify``: how many events a generator is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from verisimile.app.exits import ExitCode
from verisimile.app.gof_command import EXIT_CODES
from verisimile.app.plans import Planned, print_plan
from verisimile.app.run_generator import MEMBER_EVENTS, TIMES, fitted_run, is_run, run_generator
from verisimile.app.terminal import Clock, print_json, print_lines, print_table
from verisimile.checks.amplification.study import amplify
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.files import read_events
from verisimile.mixture.model import Mixture
from verisimile.report.content import InputSample, NamedAmplification, ReportInput
from verisimile.report.document import Document, document
from verisimile.report.numbers import duration
from verisimile.report.sections.amplification import gain_table
from verisimile.report.write import write_document

_PER_EVENT = 2e-5  # seconds of one core, all measures together
_FEWEST_REGIONS = 2


@dataclass(frozen=True, slots=True)
class AmplifyRequest:
    """The options of ``verisimile amplify`` as values."""

    generated: tuple[str, ...]
    holdout: str | None
    train: str | None
    n_train: int | None
    n_generated: int | None
    features: Sequence[str] | None
    regions: tuple[int, ...]
    out: Path
    seed: int
    executor: str
    command: str
    as_json: bool
    dry_run: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Samples:
    generated: tuple[Events, ...]
    members: tuple[Events, ...]
    mixture: Mixture | None
    holdout: Events
    train: Events | None
    n_train: int
    inputs: tuple[InputSample, ...]


def execute(request: AmplifyRequest) -> ExitCode:
    """Measure the gain, write the report, and return 1 if the generator memorises."""
    _check(request)
    clock = Clock()
    run = Run(
        Seeds(request.seed), executor=request.executor, store=request.out / "run", progress=True
    )
    if request.dry_run:
        planned = Planned("amplification", 1, 0, _planned_events(request, run) * _PER_EVENT)
        print_plan(run, [planned], as_json=request.as_json)
        return ExitCode.COMPATIBLE
    with clock.stage("reading and generating"):
        samples = _samples(request, run)
    with clock.stage("amplification"):
        study = amplify(
            run,
            samples.generated,
            samples.holdout,
            n_train=samples.n_train,
            train=samples.train,
            members=samples.members,
            mixture=samples.mixture,
            regions=request.regions,
        )
    name = _name(request.generated)
    content = ReportInput(
        amplifications=(NamedAmplification(name, study),),
        inputs=samples.inputs,
        timings=clock.timings,
        command=request.command,
        title=f"Amplification: {name}",
    )
    report = document(run, content)
    page = write_document(report, request.out)
    _print(report, page, as_json=request.as_json)
    return EXIT_CODES[report.verdict]


def _name(generated: Sequence[str]) -> str:
    first, more = Path(generated[0]).name, len(generated) - 1
    return f"{first} and {more} more" if more else first


def _check(request: AmplifyRequest) -> None:
    """Raise for what is wrong whatever the files hold."""
    if request.holdout is None:
        raise InputError(
            "--holdout",
            got="nothing",
            expected="a file of true events that the generator has never seen",
            remedy="Set some aside before training, or train again without a part of the training "
            "events and use that part. Against the training sample itself a generator that "
            "memorises looks perfect.",
        )
    if min(request.regions) < _FEWEST_REGIONS:
        raise InputError("--regions", got=min(request.regions), expected="two or more each")
    runs = [uri for uri in request.generated if is_run(uri)]
    if runs and len(request.generated) > 1:
        raise InputError(
            "GENERATED",
            got=f"{len(request.generated)} names, {runs[0]} among them, which is a folder",
            expected="files, or one run",
            remedy="Draw events of each run by verisimile sample, and give the files.",
        )


def _planned_events(request: AmplifyRequest, run: Run) -> int:
    """Return the events of all samples, read what is given and draw none."""
    if not is_run(request.generated[0]):
        found = _samples(request, run)
        return sum(each.n for each in (*found.generated, found.holdout))
    mixture, n_train = fitted_run(request.generated[0])
    size = request.n_generated or TIMES * n_train
    holdout, _ = _true(request, [spec.name for spec in mixture.features])
    return size + len(mixture.members) * min(size, MEMBER_EVENTS) + holdout.n


def _samples(request: AmplifyRequest, run: Run) -> _Samples:
    if is_run(request.generated[0]):
        return _of_run(request, run)
    generated = tuple(read_events(uri, features=request.features) for uri in request.generated)
    holdout, train = _true(request, generated[0].names)
    read = {f"generated {i}": each for i, each in enumerate(generated, 1)}
    return _Samples(
        generated=generated,
        members=(),
        mixture=None,
        holdout=holdout,
        train=train,
        n_train=_n_train(request, None if train is None else train.n),
        inputs=_inputs(request, read, holdout, train),
    )


def _of_run(request: AmplifyRequest, run: Run) -> _Samples:
    made = run_generator(request.generated[0], run, request.n_generated)
    holdout, train = _true(request, [spec.name for spec in made.mixture.features])
    return _Samples(
        generated=(made.events,),
        members=made.members,
        mixture=made.mixture,
        holdout=holdout,
        train=train,
        n_train=_n_train(request, made.n_train),
        inputs=_inputs(request, {"generated": made.events}, holdout, train),
    )


def _true(request: AmplifyRequest, names: Sequence[str]) -> tuple[Events, Events | None]:
    """Return holdout and training events with the columns of the generator."""
    holdout = read_events(request.holdout or "", features=names)
    train = None if request.train is None else read_events(request.train, features=names)
    return holdout, train


def _n_train(request: AmplifyRequest, known: int | None) -> int:
    found = request.n_train or known
    if found is None:
        raise InputError(
            "--n-train",
            got="neither --train nor --n-train",
            expected="the number of events that the generator was trained on",
            remedy="Give the training sample by --train: memorised events are then looked for.",
        )
    return found


def _inputs(
    request: AmplifyRequest, generated: Mapping[str, Events], holdout: Events, train: Events | None
) -> tuple[InputSample, ...]:
    sources = request.generated if len(generated) > 1 else request.generated[:1]
    found = [
        InputSample.of(role, uri, events)
        for (role, events), uri in zip(generated.items(), sources, strict=True)
    ]
    found.append(InputSample.of("holdout", request.holdout or "", holdout))
    if train is not None:
        found.append(InputSample.of("training", request.train or "", train))
    return tuple(found)


def _print(report: Document, page: Path, *, as_json: bool) -> None:
    if as_json:
        print_json(
            "verisimile.amplification-summary/1",
            {
                "verdict": report.verdict,
                "conclusions": [to_dict(conclusion) for conclusion in report.conclusions],
                "warnings": list(report.warnings),
                "timings": to_dict(report.content.timings),
                "report": str(page),
            },
        )
        return
    table = gain_table(report.content.amplifications[0].study)
    print_table(table.columns, table.rows)
    print_lines(
        "",
        *(conclusion.sentence for conclusion in report.conclusions),
        f"Report: {page}  ({duration(report.content.timings.total)})",
    )
