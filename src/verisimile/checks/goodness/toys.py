"""Toys of the profile test: fresh pseudo-experiments, one random stream each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from verisimile.checks.goodness.null import Calibration, Null
from verisimile.checks.goodness.profile import Hypothesis
from verisimile.checks.goodness.search import (
    SURPRISE_NAMES,
    Fits,
    Observer,
    PlacedSurprise,
    observed,
    profiles_of,
)
from verisimile.core.arrays import Array, BoolArray, digest, frozen
from verisimile.core.canonical import JSON, canonical
from verisimile.core.errors import IncompleteError, NumericsError, SupportError, require
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.run import Run
from verisimile.core.tasks import Failure, Task

_CHUNK = 10  # toys per stored record; each toy has its own stream, so this changes no number
_WAVE = 5  # chunks between two looks at whether more toys are needed
_MAX_FAILED = 0.1
_NAMED = 3


@dataclass(frozen=True, slots=True, eq=False)
class Contest:
    """Everything that determines the statistics of a toy of n events.

    It is drawn from `null` as the calibration says, and compared with A placed alternatives
    and H null hypotheses, and by its surprise if that is wanted.
    """

    null: Null
    setups: tuple[Observer, ...]
    calibration: Calibration
    hypotheses: tuple[Hypothesis, ...]
    events: int
    surprise: PlacedSurprise | None = None

    def identity(self) -> dict[str, JSON]:
        """Return what determines a toy, beside its random stream."""
        surprise = {} if self.surprise is None else {"surprise": self.surprise.identity()}
        return {
            "null": self.null.identity(),
            "alternatives": [setup.identity() for setup in self.setups],
            "calibration": self.calibration.name,
            "hypotheses": [hypothesis.name for hypothesis in self.hypotheses],
            "events": self.events,
            **surprise,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Thrown:
    """Likelihood ratios ``(B, A, H)`` and surprise ``(B, S)`` of toys, S = 2 or none.

    NaN marks a fit or a toy that failed.
    """

    statistic: Array
    surprise: Array

    @property
    def failed(self) -> BoolArray:
        """Which toys lack a statistic, ``(B,)``."""
        lacking = np.isnan(self.statistic).any(axis=(1, 2))
        return np.asarray(lacking | np.isnan(self.surprise).any(axis=1))


def throw_toys(
    run: Run,
    contest: Contest,
    toys: int,
    *,
    enough: Callable[[Thrown], bool] | None = None,
    pilot: bool = False,
) -> Thrown:
    """Return the statistics of pseudo-experiments.

    All alternatives and hypotheses see the same pseudo-data.  Chunks are kept by
    the run, so that more toys, another test sample of the same size or an
    interrupted run reuse what is there.  A fit that fails leaves NaN, which
    counts as extreme; anything else that fails says nothing about the model, and ends the call.

    `toys` is their number, or the most if `enough`, told all statistics so far, ends them
    earlier.  A pilot are toys apart, from which only a scale is taken.

    Raises
    ------
    NumericsError
        If more than a tenth of the toys failed.
    IncompleteError
        If toys could not be thrown, for another reason than their own numbers.
    """
    identity = contest.identity()
    key = digest(np.frombuffer(canonical(identity).encode(), dtype=np.uint8))[:16]
    folder, path = (f"toys/{key}/pilot", ("toys", "pilot")) if pilot else (f"toys/{key}", ("toys",))
    seeds = run.seeds.at(*path, contest.calibration.name)
    tasks = [
        Task(
            address=f"{folder}/{first:06d}-{min(first + _CHUNK, toys):06d}",
            config={**identity, "first": first, "count": min(_CHUNK, toys - first)},
            seeds=seeds,
            args=(contest, first, min(_CHUNK, toys - first)),
        )
        for first in range(0, toys, _CHUNK)
    ]
    # Shards cannot tell when there are enough: they throw the most that can be wanted.
    wave = len(tasks) if enough is None or run.shard else _WAVE
    chunks: list[_Chunk] = []
    found = _gathered(chunks)
    for start in range(0, len(tasks), wave):
        chunks += _thrown(run, tasks[start : start + wave])
        found = _gathered(chunks)
        if enough is not None and enough(found):
            break
    _judge(found, chunks)
    return found


class _Chunk(NamedTuple):
    """What is kept of the record of some toys."""

    statistic: Array
    surprise: Array
    failures: tuple[str, ...]


def _chunk(record: Record) -> _Chunk:
    noted = record.meta.get("failures", [])
    return _Chunk(
        np.array(record.arrays["statistic"]),
        np.array(record.arrays["surprise"]),
        tuple(map(str, noted)) if isinstance(noted, list) else (),
    )


def _thrown(run: Run, tasks: Sequence[Task]) -> list[_Chunk]:
    outcomes = run.map(
        _throw_chunk, tasks, label="toys", keep=_chunk, schema=3, max_failed=1.0, small=True
    )
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    if failures:
        named = "; ".join(f"{f.address}: {f.kind}: {f.message}" for f in failures[:_NAMED])
        raise IncompleteError(
            "toys",
            got=f"{len(failures)} of {len(outcomes)} chunks of toys that ended early ({named})",
            expected="toys that end with a statistic or with a failed fit",
            remedy="Finished toys are kept. Mend the cause and run the same call again.",
        )
    return [outcome for outcome in outcomes if isinstance(outcome, _Chunk)]


def _gathered(chunks: Sequence[_Chunk]) -> Thrown:
    blocks = [chunk.statistic for chunk in chunks]
    surprise = [chunk.surprise for chunk in chunks]
    return Thrown(
        frozen(np.concatenate(blocks) if blocks else np.empty((0, 0, 0))),
        frozen(np.concatenate(surprise) if surprise else np.empty((0, 0))),
    )


def _judge(found: Thrown, chunks: Sequence[_Chunk]) -> None:
    failed = found.failed
    if failed.sum() <= _MAX_FAILED * failed.size:
        return
    reasons = [reason for chunk in chunks for reason in chunk.failures]
    raise NumericsError(
        "toys",
        got=f"{int(failed.sum())} of {failed.size} toys failed"
        f" ({reasons[0] if reasons else 'their fits did not converge'})",
        expected=f"at most {_MAX_FAILED:.0%} of them to fail",
        remedy="Use fewer or wider kernels, or raise the alternative's ridge.",
    )


def _throw_chunk(seeds: Seeds, contest: Contest, first: int, count: int) -> Payload:
    toys, found = range(first, first + count), []
    held = contest.events * (len(contest.null.features) + len(contest.null.weights))
    together = max(1, _HELD // (8 * held))
    for start in range(0, count, together):
        found += _throw([seeds.at(toy).numpy() for toy in toys[start : start + together]], contest)
    tables, surprises, reasons = zip(*found, strict=True)
    table = np.array(tables)
    return Payload(
        {
            "statistic": table[..., 0],
            "gap": table[..., 1],
            "iterations": table[..., 2],
            "surprise": np.array(surprises).reshape(count, -1),
        },
        {
            "hypotheses": [hypothesis.name for hypothesis in contest.hypotheses],
            "failures": [reason for reason in reasons if reason],
        },
    )


_FAILED = (np.nan, np.inf, 0)
_HELD = 2**27  # bytes of the toys whose fits go in step

_Thrown = tuple[Array, Array, str]
"""(statistic, gap, iterations) ``(A, H, 3)`` and surprise ``(S,)`` of a toy, why a fit failed."""


def _throw(streams: Sequence[np.random.Generator], contest: Contest) -> list[_Thrown]:
    """Draw toys one after the other, and fit them together."""
    seen = [_observed(rng, contest) for rng in streams]
    shape = len(contest.setups), len(contest.hypotheses)
    tables = [np.full((*shape, 3), _FAILED) for _ in seen]
    reasons = [toy.failure for toy in seen]
    drawn = [number for number, toy in enumerate(seen) if toy.fits]
    centres = [seen[number].centre for number in drawn]
    for setup, position in np.ndindex(*shape) if drawn else ():
        fits = [seen[number].fits[setup] for number in drawn]
        profiles = profiles_of(fits, contest.hypotheses[position], centres)
        for number, profile in zip(drawn, profiles, strict=True):
            if isinstance(profile, NumericsError):
                reasons[number] = reasons[number] or str(profile)
            else:
                outcome = profile.statistic, profile.gap, profile.iterations
                tables[number][setup, position] = outcome
    surprises = [toy.surprise for toy in seen]
    return list(zip(tables, surprises, reasons, strict=True))


@dataclass(frozen=True, slots=True, eq=False)
class _Toy:
    """A toy as A alternatives see it, none if it could not be drawn, and its surprise."""

    centre: Array
    fits: list[Fits]
    surprise: Array
    failure: str = ""


def _observed(rng: np.random.Generator, contest: Contest) -> _Toy:
    null, wanted = contest.null, contest.surprise
    truth, centre = contest.calibration.draw(null.variations.shape[1], rng)
    try:
        sample = null.sample(truth, contest.events, rng)
        surprise = (
            np.empty(0) if wanted is None else wanted.statistics(sample.log_densities, centre)
        )
        seen = observed(contest.setups, sample.x, sample.log_densities)
    except (NumericsError, SupportError) as error:
        # One toy that fails must not cost its nine neighbours; it is counted as extreme.
        unknown = np.full(0 if wanted is None else len(SURPRISE_NAMES), np.nan)
        return _Toy(centre, [], unknown, str(error))
    return _Toy(centre, seen, surprise)


@dataclass(frozen=True, slots=True)
class Sequential:
    r"""Throw toys until enough of them are as extreme as the data, p = h / l.

    A p-value of 0.5 is settled by some 20 toys, one of 0.01 takes about
    a thousand.  The p-value is valid whatever the settings: see
    :func:`~verisimile.stats.pvalues.besag_clifford`.

    Attributes
    ----------
    exceedances
        h, extreme toys that end the search; p then has a relative error of
        about :math:`1/\sqrt h`.
    most
        B, toys after which the search ends anyway.

    References
    ----------
    J. Besag, P. Clifford, Biometrika 78 (1991) 301.
    """

    exceedances: int = 10
    most: int = 1000

    def __post_init__(self) -> None:
        require(
            1 <= self.exceedances <= self.most,
            "Sequential",
            got=repr(self),
            expected="1 <= exceedances <= most",
            remedy="10 exceedances in at most 1000 toys are a good start.",
        )


def most_toys(toys: int | Sequential) -> int:
    """Return the largest number of toys that may be thrown."""
    return toys.most if isinstance(toys, Sequential) else toys
