"""What a command would do, and roughly how long it would take: for ``--dry-run``.

Times are estimates: recorded costs of the parts of a task, measured once, times the speed of this
machine, which a probe of a tenth of a second compares with that of the records.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from verisimile.app import terminal
from verisimile.app.manner import manner
from verisimile.app.reading import Accounts, say_accounts, warn_of_doubts
from verisimile.app.terminal import ExitCode
from verisimile.checks.twosample.permutation import record_name
from verisimile.checks.twosample.statistics.protocol import entries
from verisimile.core.executor import Loky
from verisimile.core.run import Run
from verisimile.data.account import doubts_of
from verisimile.report.numbers import count, duration
from verisimile.validation.study import CLASSIFIER, Battery

# Seconds of one core, measured on the example's flows; good to a factor of three.
_PER_TRAINING_EVENT = {  # one event, one epoch; other trainers than spline flows are their own
    "compiled": 3e-6,
    "stacked": 2e-5,
    "loop": 4e-5,
    "own": 4e-5,
}
_PER_DENSITY = 2e-6  # one event, one member
_PER_DRAW = 2e-5  # one event
_PER_CORRECTION = 3e-5  # one event: the functions of a discrepancy
_PER_DISCREPANCY = 3.5e-10  # one draw of the mixture, one pair of functions; learned once
_DIRECTIONS = 100  # of its errors that matter to a test, in four features
_PER_PRODUCT = 2e-10  # one event, one entry of the Hessian, one Newton step
_PER_RELABELING = {  # one pooled event of six features, one relabeling; by compiled code
    "sliced-wasserstein": 1.7e-8,
    "sliced-ks": 1.8e-8,
    "mean-ks": 7e-9,
    "max-ks": 7e-9,
    "cramer-von-mises": 7e-9,
    "interval-scan": 1.5e-8,
    "frechet": 1.5e-8,
    "kernel-distance": 3e-8,
    "energy": 1.5e-8,
    "mmd": 2.5e-8,
    "nplm": 9e-8,
}
_AT_MOST = dict.fromkeys(("nplm", "sliced-ks", "sliced-wasserstein"), 100_000)  # pooled events
_PER_TREE_EVENT = 1e-5  # one event of one fit
_PER_LOOK = 4e-4  # one pooled event: smallest visible effects, marginals, support
_PER_CURVE_EVENT = {  # one event of either sample, ten thousand a side; neighbours in four features
    "best": 1.5e-4,
    "linear": 5e-6,
    "mixtures": 7e-5,
    "trees": 7e-5,
    "knn": 1e-4,
    "parzen": 2e-4,
    "published": 4e-5,
}
_PER_CHOICE_EVENT = {"best": 1e-3, "trees": 3e-4, "knn": 4e-4}  # one event of those set apart
_PER_MEASURED_EVENT = 4e-5  # one event, all measures of amplification together
_STEPS = 12
_CHUNK = 10
_PROBE = 0.0031  # seconds of the probe on the machine of the records
MEMBER_EVENTS = 50_000  # the most that amplification draws of each member


def slowness() -> float:
    """Return how many times longer this machine takes than that of the recorded costs.

    Sorting, exponentials and products of matrices, the best of three; the time of this thread
    alone, so that others at work count no more than they slow it down.
    """
    x = np.linspace(-3.0, 3.0, 100_000).reshape(200, 500)
    seconds = []
    for _ in range(3):
        start = time.thread_time()
        np.sort(np.exp(-(np.sin(1e3 * x) ** 2)), axis=None)
        _ = x @ x.T @ x
        seconds.append(time.thread_time() - start)
    return float(np.clip(min(seconds) / _PROBE, 0.1, 20.0))


@dataclass(frozen=True, slots=True)
class Planned:
    """One stage: its tasks, how many records there are already, core-seconds for all tasks.

    Seconds are those of the machine of the recorded costs; None where nothing is recorded.
    """

    name: str
    tasks: int
    records: int
    seconds: float | None


def training_stage(
    run: Run, *, members: int, events: int, epochs: int, engine: str, folds: int = 1
) -> Planned:
    """Return the training of an ensemble by an engine, each member on so many events."""
    seconds = members * events * epochs * _PER_TRAINING_EVENT[engine]
    name = "ensemble training"
    if folds > 1:
        name += f", {members // folds} flows outside of each of {folds} folds"
    return Planned(name, members, len(run.store.addresses("members")), seconds)


def mixture_stage(events: int, features: int, *, members: int, corrected: bool) -> Planned:
    """Return the fit of weights to so many events, and of what all members miss alike."""
    seconds = members * events * _PER_DENSITY
    if corrected:
        seconds += discrepancy_seconds(events=events, features=features)
    return Planned("weights and discrepancy" if corrected else "weights", 1, 0, seconds)


def toy_stage(
    run: Run,
    *,
    toys: int,
    events: int,
    members: int,
    kernels: int,
    placements: int,
    corrected: bool,
) -> Planned:
    """Return the toys of one test, which are drawn once and fitted at every placement."""
    free = _DIRECTIONS if corrected else members
    fits = placements * _STEPS * _PER_PRODUCT * (free + kernels) ** 2
    drawn = _PER_DRAW + members * _PER_DENSITY + _PER_CORRECTION * corrected
    one = events * (drawn + fits)
    tasks = -(-toys // _CHUNK)
    return Planned("toys", tasks, len(run.store.addresses("toys")), toys * one)


def discrepancy_seconds(*, events: int, features: int) -> float:
    """Return what it takes to learn a discrepancy, or to learn it anew of another data set.

    Moments of the functions at the draws of the mixture, whose number is that of the fit's events.
    """
    from verisimile.mixture.discrepancy.settings import Discrepancy, most_functions

    draws = Discrepancy().reference_size(events, features)
    return _PER_DISCREPANCY * draws * most_functions(features) ** 2


def coverage_stages(
    run: Run, *, datasets: int, events: int, members: int, learnt: float = 0.0
) -> list[Planned]:
    """Return the members' expectations, and the refits of a coverage study.

    `learnt` are the seconds of a refit's discrepancy.
    """
    # The pool has about a hundred times the events of a data set.
    pool = min(max(100 * events, 50_000), 4_000_000)
    density = _PER_DENSITY * members
    refit = events * (_PER_DRAW + density + _STEPS * _PER_PRODUCT * members**2) + learnt
    records = [name for name in run.store.addresses("coverage") if "/pool/" not in name]
    pooled = [name for name in run.store.addresses("coverage") if "/pool/" in name]
    return [
        Planned(
            "members' expectations",
            -(-pool // max(50_000, pool // 16)),
            len(pooled),
            pool * (_PER_DRAW + density),
        ),
        Planned("refits", -(-datasets // _CHUNK), len(records), datasets * refit),
    ]


def curve_stages(*, curves: int, events: int, score: str) -> list[Planned]:
    """Return the choice of a score, and curves of so many true and generated events each."""
    drawn = Planned("curves", curves, 0, curves * events * _PER_CURVE_EVENT[score])
    if score not in _PER_CHOICE_EVENT:
        return [drawn]
    apart = events / 5
    return [Planned("choice of the score", 1, 0, apart * _PER_CHOICE_EVENT[score]), drawn]


def amplification_stage(events: int, *, of_run: int = 0, members: int = 0) -> Planned:
    """Return the measures of amplification on so many events, and those drawn of a run."""
    drawn = of_run + members * min(of_run, MEMBER_EVENTS)
    seconds = (events + drawn) * _PER_MEASURED_EVENT + of_run * _PER_DRAW
    return Planned("amplification", 1, 0, seconds)


def draw_stage(events: int) -> Planned:
    """Return the drawing of events of a mixture."""
    return Planned("events", 1, 0, events * _PER_DRAW)


def unknown_stage() -> Planned:
    """Return a stage of which nothing is known before those that it follows."""
    return Planned("after the fit", 1, 0, None)


def battery_stages(run: Run, battery: Battery, *, events: int) -> list[Planned]:
    """Return the tests of a battery on so many pooled events."""
    stages = []
    for name in battery.tests:
        if name == CLASSIFIER:
            fits = len(run.store.addresses("classifier"))
            stages.append(Planned(name, 6, fits, 6 * events * _PER_TREE_EVENT))
            continue
        used = min(events, _AT_MOST.get(name, events))
        seconds = battery.permutations * used * _PER_RELABELING.get(name, 1e-6)
        blocks = -(-battery.permutations // 500)
        stages.append(Planned(name, blocks, _relabeled(run, name), seconds))
    if battery.sensitivity or battery.physics or battery.support:
        stages.append(Planned("visible effects, marginals, support", 1, 0, events * _PER_LOOK))
    return stages


def _relabeled(run: Run, name: str) -> int:
    # Records of tilted relabelings lie a level deeper.
    folder = record_name(entries()[name].statistic)
    items = [*run.store.addresses("relabel"), *run.store.addresses("multiply")]
    return sum(item.split("/")[-2] == folder for item in items)


def print_plan(
    run: Run,
    stages: Sequence[Planned],
    *,
    as_json: bool,
    accounts: Accounts | None = None,
    doubts: Sequence[str] = (),
    verdict: bool = True,
) -> ExitCode:
    """Print the plan; records of other configurations count as present but are not reused.

    `accounts` of samples and `doubts` go before it.  Doubts, those of the accounts among them,
    say why the run could not pass whatever its events are: the code says so too, if the run ends
    with a `verdict`.
    """
    doubts = [*(doubts_of(accounts or {}) if verdict else ()), *doubts]
    code = ExitCode.INCONCLUSIVE if doubts else ExitCode.COMPATIBLE
    gathered = manner().gathered
    if gathered is not None:  # a stage of a chain, which shows all plans together
        gathered.plans += stages
        gathered.doubts += doubts
        return code
    warn_of_doubts(doubts)
    slower = slowness()
    workers = run.executor.workers if isinstance(run.executor, Loky) else 1
    total = slower * sum(stage.seconds or 0.0 for stage in stages) / workers
    if as_json:
        terminal.print_json(
            "verisimile.plan/1",
            {
                "executor": run.executor.name,
                "stages": [asdict(stage) for stage in stages],
                "wall_seconds": total,
                "times": "estimate: recorded cost per task, times the slowness by a probe",
                "slowness": slower,
                "doubts": list(doubts),
            },
        )
        return code
    say_accounts(accounts or {})
    terminal.print_columns(
        ("stage", "tasks", "records in the folder", "core time, estimate"),
        [
            (
                stage.name,
                count(stage.tasks),
                count(stage.records),
                "unknown" if stage.seconds is None else duration(slower * stage.seconds),
            )
            for stage in stages
        ],
    )
    terminal.print_lines(
        f"With {run.executor.name}, from nothing: about {duration(total)}. An estimate, good to a "
        f"factor of three: recorded cost per task, times {slower:.2g} for this machine (by a probe "
        "of a tenth of a second)."
    )
    return code
