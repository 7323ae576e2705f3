"""Pseudo-experiments in chunks, kept as they end, as many as the time allows."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gauntlet.claims import Claim, Refused
from gauntlet.codes import code_digest
from gauntlet.registry import Cell, all_benches
from gauntlet.verdicts import Tally
from verisimile.core.arrays import Array
from verisimile.core.canonical import JSON
from verisimile.core.errors import VerisimileError
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.run import Run
from verisimile.core.tasks import Task

ALL = "all"
"""Subject of a bench that made no claim at all in a cell."""

_CHUNK = 15.0  # seconds of a task: what an interruption can cost


@dataclass(frozen=True)
class Plan:
    """How much is done.

    Attributes
    ----------
    seconds
        Processor time of all workers together.
    scale
        Factor on the repetitions that benches ask for.
    pilot
        Pseudo-experiments of every cell that tell how long one takes.
    codes
        The code whose records are those of each cell; the present one for all by default.
    """

    seconds: float
    scale: float = 1.0
    pilot: int = 8
    codes: Sequence[str] = ()

    def wanted(self, cell: Cell) -> int:
        """Return the pseudo-experiments of a cell if there is time for all."""
        return max(self.pilot, round(self.scale * cell.bench.repetitions))


@dataclass(frozen=True)
class Found:
    """What a cell gave: tallies by subject, processor time, and errors that are no refusals."""

    tallies: Mapping[str, Tally]
    seconds: float
    broken: Mapping[str, int]


def run_cells(
    run: Run, cells: Sequence[Cell], plan: Plan, say: Callable[[str], None] = lambda _: None
) -> list[Found]:
    """Return what every cell gives, from the store where it is known already.

    A few pseudo-experiments of every cell tell how long one takes; the rest of the time is
    shared so that cheap cells get all they ask for and dear ones equal time.  How many a
    cell gets depends on time alone, never on what was found.
    """
    say(f"{len(cells)} cells, {plan.pilot} pseudo-experiments each")
    made = list(zip(cells, plan.codes or [code_digest()] * len(cells), strict=True))
    pilot = _mapped(run, made, [[(0, plan.pilot)] for _ in cells])
    each = np.array([_seconds(records) for records in pilot]) / plan.pilot
    spent = float(each.sum()) * plan.pilot
    want = np.array([plan.wanted(cell) for cell in cells]) - plan.pilot
    given = shares(want, each, plan.seconds - spent)
    say(f"{spent:.0f} s so far, about {float(given @ each):.0f} s to come")
    parts = [_parts(plan.pilot, int(m), t) for m, t in zip(given, each, strict=True)]
    rest = _mapped(run, made, parts)
    return [_found([*a, *b]) for a, b in zip(pilot, rest, strict=True)]


def shares(want: Array, each: Array, seconds: float) -> Array:
    r"""Return pseudo-experiments ``(n,)``: all that are wanted, or as many as equal time allows.

    .. math:: m_i = \min(want_i, \tau / t_i), \quad \sum_i m_i t_i = T
    """
    cost = want * each
    if cost.sum() <= seconds:
        return want
    left, cap = max(0.0, seconds), 0.0
    for rank, index in enumerate(np.argsort(cost)):
        others = want.size - rank
        cap = left / others
        if cost[index] > cap:
            break
        left -= cost[index]
    return np.minimum(want, np.floor(cap / np.maximum(each, 1e-9))).astype(np.int64)


def _parts(start: int, count: int, each: float) -> list[tuple[int, int]]:
    size = max(1, int(_CHUNK / max(each, 1e-9)))
    return [
        (first, min(size, start + count - first)) for first in range(start, start + count, size)
    ]


def _mapped(
    run: Run, made: Sequence[tuple[Cell, str]], parts: Sequence[Sequence[tuple[int, int]]]
) -> list[list[Record]]:
    """Return the records of each cell's parts (first experiment, number of them)."""
    work = list(zip(made, parts, strict=True))
    tasks = [_task(run, cell, code, *part) for (cell, code), each in work for part in each]
    records = iter(run.map(experiments, tasks, label="gauntlet"))
    found: list[list[Record]] = []
    for each in parts:
        taken = [next(records) for _ in each]
        found.append([record for record in taken if isinstance(record, Record)])
    return found


def _task(run: Run, cell: Cell, code: str, first: int, count: int) -> Task:
    config: dict[str, JSON] = {
        "bench": cell.bench.name,
        "setting": repr(cell.setting),
        "first": first,
        "count": count,
        "code": code,
    }
    return Task(
        address=f"{cell.address}/{first:05d}-{count:05d}",
        config=config,
        seeds=run.seeds.at(cell.bench.name, cell.setting.label),
        args=(cell.bench.name, cell.setting, first, count),
    )


def experiments(seeds: Seeds, name: str, setting: object, first: int, count: int) -> Payload:
    """Do `count` pseudo-experiments and return their numbers by subject."""
    experiment = all_benches()[name].experiment
    rows: dict[str, Array] = defaultdict(lambda: np.zeros(8, dtype=np.int64))
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    broken: Counter[str] = Counter()
    times = []
    for number in range(first, first + count):
        start = time.process_time()
        try:
            claims = experiment(setting, seeds.at(number))
        except VerisimileError as error:
            claims = {ALL: Refused(_reason(error))}
        except Exception as error:  # counted, shown, and the gauntlet fails
            broken[f"{type(error).__name__}: {error}"[:300]] += 1
            continue
        times.append(time.process_time() - start)
        for subject, claim in claims.items():
            rows[subject] += _row(claim)
            if isinstance(claim, Refused):
                reasons[subject][claim.reason[:200]] += 1
    names = list(rows)
    return Payload(
        {"counts": np.array([rows[subject] for subject in names]).reshape(len(names), 8)},
        {
            "subjects": names,
            "reasons": {subject: dict(found) for subject, found in reasons.items()},
            "broken": dict(broken),
            # The first one may load libraries: the median does not mind.
            "seconds": float(np.median(times)) * count if times else 0.0,
        },
    )


def _row(claim: Claim) -> Array:
    """Return experiments, claims, misses and the twin's misses at both levels, refusals."""
    if isinstance(claim, Refused):
        return np.array([1, 0, 0, 0, 0, 0, 0, 1])
    own, twin = claim.misses(), claim.twin_misses()
    made = [miss is not None for miss in own]
    return np.array([1, *made, *(bool(m) for m in own), *(bool(m) for m in twin), 0])


def _reason(error: VerisimileError) -> str:
    return f"{error.name}: expected {error.expected}"


def _seconds(records: Sequence[Record]) -> float:
    return sum(float(str(record.meta["seconds"])) for record in records)


def _found(records: Sequence[Record]) -> Found:
    tallies: dict[str, Array] = defaultdict(lambda: np.zeros(8, dtype=np.int64))
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    broken: Counter[str] = Counter()
    for record in records:
        for subject, row in zip(_words(record), np.asarray(record.arrays["counts"]), strict=True):
            tallies[subject] += row
        for subject, found in _table(record.meta["reasons"]).items():
            reasons[subject].update(_numbers(found))
        broken.update(_numbers(record.meta["broken"]))
    whole = tallies.pop(ALL, None) if len(tallies) > 1 else None
    if whole is not None:  # what refused everything refused each
        for subject in tallies:
            tallies[subject] += whole
            reasons[subject].update(reasons[ALL])
    return Found(
        {subject: _tally(row, reasons[subject]) for subject, row in tallies.items()},
        _seconds(records),
        dict(broken),
    )


def _tally(row: Array, reasons: Mapping[str, int]) -> Tally:
    total, claims5, claims32, miss5, miss32, twin5, twin32, refused = (int(v) for v in row)
    return Tally(
        experiments=total,
        claims=(claims5, claims32),
        misses=(miss5, miss32),
        twin_misses=(twin5, twin32),
        refused=refused,
        reasons=dict(reasons),
    )


def _words(record: Record) -> list[str]:
    found = record.meta["subjects"]
    return [str(word) for word in found] if isinstance(found, list | tuple) else []


def _table(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _numbers(value: object) -> dict[str, int]:
    return {word: int(str(number)) for word, number in _table(value).items()}
