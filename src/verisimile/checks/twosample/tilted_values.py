"""A statistic's values on tilted relabelings, and which of them its test would have rejected."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from verisimile.checks.twosample.outcome import tie_threshold
from verisimile.checks.twosample.permutation import Job, valued
from verisimile.checks.twosample.result import TwoSample
from verisimile.checks.twosample.statistic import Tabulated
from verisimile.checks.twosample.tilts import Tilt, tilted, tilted_masses
from verisimile.core.arrays import Array, BoolArray
from verisimile.core.canonical import JSON
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.run import Run, Task
from verisimile.core.store import Payload, Record
from verisimile.samples.draws import MassRows
from verisimile.stats.aggregate import min_p
from verisimile.stats.nulls import Empirical

__all__ = ["TiltedValues", "keep_tilted_values", "null_table", "rejected", "tilted_values"]

_LABEL = "tilted relabelings"
_ENTRIES = 4_000_000  # 32 MiB for each of a few arrays of masses at a time
_FEWEST = 99  # relabelings that make a critical value


@dataclass(frozen=True, slots=True, eq=False)
class TiltedValues:
    """Tilted labelings of K strengths, L of each.

    Attributes
    ----------
    values
        ``(K, L, J)``, J = 1 unless min-p combines columns.
    effects
        Achieved effects ``(K, L)``.
    several
        Whether the columns are combined by min-p.
    """

    values: Array
    effects: Array
    several: bool

    def then(self, other: TiltedValues) -> TiltedValues:
        """Return these strengths followed by those of `other`."""
        return TiltedValues(
            np.concatenate([self.values, other.values]),
            np.concatenate([self.effects, other.effects]),
            self.several,
        )


def tilted_values(
    run: Run, job: Job, tilt: Tilt, strengths: Array, *, labelings: int
) -> TiltedValues:
    """Return values and effects of labelings at these strengths, kept in the store of `run`.

    The labelings of a strength are the same for every statistic.
    """
    (record,) = run.map(_value, [_task(job, tilt, strengths, labelings)], label=_LABEL)
    if not isinstance(record, Record):
        raise InputError("tilted relabelings", got=f"{record}", expected="a record")
    shape = (strengths.size, labelings)
    return TiltedValues(
        np.asarray(record.arrays["values"]).reshape(*shape, -1),
        np.asarray(record.arrays["effects"]).reshape(shape),
        bool(record.meta["several"]),
    )


def keep_tilted_values(
    run: Run, wanted: Iterable[tuple[Job, Tilt, Array]], *, labelings: int
) -> None:
    """Make all that :func:`tilted_values` will be asked for at once, side by side."""
    tasks = [_task(job, tilt, strengths, labelings) for job, tilt, strengths in wanted]
    run.map(_value, tasks, label=_LABEL)


def _task(job: Job, tilt: Tilt, strengths: Array, labelings: int) -> Task:
    config: dict[str, JSON] = {
        "pool": job.pool.key,
        "statistic": repr(job.statistic),
        "tilt": tilt.key,
        "strengths": strengths.tolist(),
        "labelings": labelings,
    }
    return Task(
        address=f"{job.address}/tilt-{tilt.name}/{strengths[0]:.6g}-{strengths.size}x{labelings}",
        config=config,
        seeds=job.seeds,
        args=(job, tilt, strengths, labelings),
    )


def null_table(run: Run, job: Job, found: TwoSample, level: float, *, several: bool) -> Array:
    """Return the values of plain relabelings ``(B, J)`` that judge the tilted ones.

    They are those of `found` unless they are columns, which a result does not hold, or an
    early end left too few: then the records of `run` are read, and what is missing is made.
    """
    fewest = max(_FEWEST, int(np.ceil(1.0 / level)) - 1)
    if not several and found.null.size >= fewest:
        return found.null[:, None]
    return valued(run, job, max(found.null.size, fewest), None).relabeled


def rejected(tilts: TiltedValues, null: Array, level: float) -> BoolArray:
    """Return which tilted labelings have a p-value of `level` or less ``(K, L)``.

    The rule is that of the test: add-one ranks among the relabelings, columns combined by
    min-p together with them.  A labeling without a finite statistic is not seen.
    """
    rows = tilts.values.reshape(-1, null.shape[1])
    p_values = [
        _p_value(row, null, several=tilts.several) if np.isfinite(row).all() else np.inf
        for row in rows
    ]
    # Multiples of 1 / (B + 1) may exceed the level by a rounding.
    return np.asarray(p_values).reshape(tilts.effects.shape) <= level * (1.0 + 1e-12)


def _p_value(row: Array, null: Array, *, several: bool) -> float:
    threshold = tie_threshold(row, null)
    if several:
        return min_p(threshold, null).p_value.value
    return Empirical(null[:, 0], "relabelings").p_value(float(threshold[0])).value


def _value(seeds: Seeds, job: Job, tilt: Tilt, strengths: Array, labelings: int) -> Payload:
    streams = [
        (strength, seeds.at("tilt", tilt.name, f"{strength:.12g}").at(labeling))
        for strength in strengths.tolist()
        for labeling in range(labelings)
    ]
    made = _labeled if job.pool.null == "relabelings" else _massed
    values, effects = made(job, tilt, streams)
    several = isinstance(job.prepared, Tabulated)
    return Payload({"values": values, "effects": effects}, {"several": several})


def _labeled(job: Job, tilt: Tilt, streams: Sequence[tuple[float, Seeds]]) -> tuple[Array, Array]:
    drawn = [tilted(tilt, strength, job.events, at) for strength, at in streams]
    labels, effects = np.stack([row for row, _ in drawn]), np.array([effect for _, effect in drawn])
    prepared = job.prepared
    values = prepared.table(labels) if isinstance(prepared, Tabulated) else prepared.values(labels)
    return values, effects


def _massed(job: Job, tilt: Tilt, streams: Sequence[tuple[float, Seeds]]) -> tuple[Array, Array]:
    values, effects = [], []
    step = max(1, _ENTRIES // len(job.events.x))
    for start in range(0, len(streams), step):
        drawn = [tilted_masses(tilt, e, job.events, at) for e, at in streams[start : start + step]]
        rows = [row for row, _ in drawn]
        values.append(
            job.massed(
                MassRows(
                    np.concatenate([row.first for row in rows]),
                    np.concatenate([row.second for row in rows]),
                    rows[0].base,
                )
            )
        )
        effects += [effect for _, effect in drawn]
    return np.concatenate(values), np.array(effects)
