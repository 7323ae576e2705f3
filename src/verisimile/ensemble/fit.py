"""Train an ensemble of density estimators by a plan, or read one back."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from verisimile.core.arrays import IntArray, frozen
from verisimile.core.canonical import JSON, canonical, restore
from verisimile.core.errors import InputError, StoreError, VerisimileWarning
from verisimile.core.lease import Lease
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.run import Run
from verisimile.core.store import DirectoryStore, MemoryStore, Store
from verisimile.core.tasks import Failure, Task, fingerprint
from verisimile.core.versions import installed
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.inputs import EventsLike, as_events
from verisimile.data.provenance import TRAINING, Seen
from verisimile.density.protocol import AnyTrainer, Checking, TrainingEngine
from verisimile.density.registry import below, unpack_any
from verisimile.ensemble.ensemble import Ensemble, MemberRecord
from verisimile.ensemble.plan import Plan
from verisimile.ensemble.training import (
    CURVES,
    LABEL,
    MODEL,
    SCHEMA,
    check_engine,
    train_members,
)

_ROWS = "ensemble/training"
_COUNTS = ("member", "replica", "initialisation", "best_epoch", "n_training", "n_validation")


def fit_ensemble(
    run: Run,
    events: EventsLike,
    plan: Plan,
    trainer: AnyTrainer,
    *,
    engine: TrainingEngine | None = None,
) -> Ensemble:
    """Train the members of an ensemble, each on what the plan gives it of `events`.

    The same seeds, events, plan and trainer give the same members bit for bit,
    with any executor and after any interruption; finished members are not
    trained again.  A store in memory is simply overwritten by other settings,
    a folder is not.

    Parameters
    ----------
    run
        Streams (``"ensemble"``), workers, store and progress.
    events
        Training sample ``(n, d)``, with the context columns of a conditional trainer.
    plan
        :class:`~verisimile.ensemble.plan.BootstrapPlan` (replicas and initialisations) or
        :class:`~verisimile.ensemble.plan.InitialisationPlan` (the same events for all).
    trainer
        What turns one training sample into one estimator, one conditional density, or one
        sampler without density.
    engine
        What takes the steps of spline flows: `Compiled`, `Stacked` or `Loop` of
        `verisimile.density`; the fastest one of this machine if not given.  Members trained by
        different engines differ in rounding, which training magnifies; each member's record
        names its own.

    Raises
    ------
    InputError
        If the trainer cannot use the events, or there is no such engine for it.
    StoreError
        If the store holds an ensemble with other settings; nothing is trained then.
    NumericsError
        If more than ``plan.max_failed`` of the members failed.

    Examples
    --------
    >>> import numpy as np
    >>> import verisimile as vs
    >>> events = vs.Events(np.random.default_rng(1).normal(size=(300, 1)), names=("m",))
    >>> trainer = vs.density.GaussianMixtureTrainer(components=(1,))
    >>> run = vs.Run(vs.Seeds(1))
    >>> ensemble = vs.fit_ensemble(run, events, vs.BootstrapPlan(members=3), trainer)
    >>> ensemble.log_densities(events).shape
    (300, 3)
    """
    events = as_events(events, "events")
    tasks, manifest = _checked(run, events, plan, trainer)
    check_engine(trainer, events, engine)
    seen = Seen.of(TRAINING, events)
    finished, outcomes = train(
        run, tasks, manifest, seen, max_failed=plan.max_failed, engine=engine
    )
    records = [outcome for outcome in outcomes if isinstance(outcome, Record)]
    return assemble(run, finished, records, seen)


def check_ensemble(run: Run, events: Events, plan: Plan, trainer: AnyTrainer) -> None:
    """Raise what :func:`fit_ensemble` would before it trains; nothing is written."""
    _checked(run, events, plan, trainer)


def _checked(
    run: Run, events: Events, plan: Plan, trainer: AnyTrainer
) -> tuple[list[Task], Manifest]:
    check_training(events, trainer)
    seeds = run.seeds.at("ensemble")
    tasks = [member_task(m, seeds, events, plan, trainer, m) for m in range(plan.members)]
    manifest = manifest_of(run, events, plan, trainer, tasks)
    check_manifest(run.store, manifest)
    return tasks, manifest


def check_training(events: Events, trainer: AnyTrainer) -> None:
    """Raise if a trainer cannot use the events."""
    if events.n < 2:
        raise InputError("events", got=f"{events.n} event", expected="at least two events")
    if isinstance(trainer, Checking):
        # Once here, with its own error, instead of once in every worker.
        trainer.check(events)


def train(
    run: Run,
    tasks: Sequence[Task],
    manifest: Manifest,
    seen: Seen,
    *,
    max_failed: float,
    engine: TrainingEngine | None = None,
    also: Mapping[str, IntArray] | None = None,
) -> tuple[Manifest, list[Record | Failure]]:
    """Train what is missing; return the finished manifest, and what became of each task.

    The footprint of the events is kept with them, and with whatever `also` says of each event.
    """
    _begin(run.store, manifest)
    run.store.save(_ROWS, seen.digest, seen.role, Payload({"rows": seen.rows, **(also or {})}))
    outcomes = train_members(run, tasks, engine, max_failed=max_failed)
    failures = tuple(outcome for outcome in outcomes if isinstance(outcome, Failure))
    finished = replace(manifest, failures=failures)
    write_manifest(run.store, finished)
    return finished, outcomes


def load_ensemble(run: Run) -> Ensemble:
    """Return the ensemble in the run's store, without training anything.

    Raises
    ------
    StoreError
        If there is none, its training was not finished, or a member's file is
        missing or damaged.
    """
    manifest = read_manifest(run.store)
    if manifest.folds is not None:
        raise StoreError(
            f"{_NAME} in {run.store!r}",
            got=f"an ensemble over {manifest.folds} folds",
            expected="one ensemble",
            remedy="Read it with load_cross_ensemble(run).",
        )
    records = [record for record in load_members(run, manifest) if record is not None]
    rows = load_footprint(run, manifest)["rows"]
    seen = Seen(TRAINING, manifest.training_digest, np.asarray(rows, dtype=np.uint64))
    return assemble(run, manifest, records, seen)


def load_members(run: Run, manifest: Manifest) -> list[Record | None]:
    """Return the records of all members, None for one whose training failed."""
    failed = {failure.address for failure in manifest.failures or ()}
    return [
        None if address in failed else _load(run, address, expected)
        for address, expected in manifest.members
    ]


def load_footprint(run: Run, manifest: Manifest) -> Mapping[str, npt.NDArray[Any]]:
    """Return what was kept of each training event."""
    return _load(run, _ROWS, manifest.training_digest).arrays


def member_task(
    number: int, seeds: Seeds, events: Events, plan: Plan, trainer: AnyTrainer, member: int
) -> Task:
    """Return the training of a member of a plan; `number` is that of its record."""
    # Without plan.members: member 7 is the same in an ensemble of 8 and of 20.
    config: dict[str, JSON] = {
        "trainer": trainer.config(),
        "events": events.digest,
        "features": [feature.to_dict() for feature in events.features],
        "member": member,
        **plan.place(member),
    }
    return Task(
        address=f"members/{number:04d}",
        config=config,
        seeds=seeds,
        args=(events, plan, trainer, member),
    )


def manifest_of(
    run: Run,
    events: Events,
    plan: Plan,
    trainer: AnyTrainer,
    tasks: Sequence[Task],
    also: Mapping[str, JSON] | None = None,
) -> Manifest:
    """Return the manifest of an ensemble with such tasks; `also` is further configuration."""
    settings: dict[str, JSON] = {
        "trainer": trainer.config(),
        "plan": plan.config(),
        "features": [feature.to_dict() for feature in events.features],
        "training": {"digest": events.digest, "events": events.n},
        "seeds": str(run.seeds),
        **(also or {}),
    }
    members = tuple((task.address, fingerprint(LABEL, task, SCHEMA)) for task in tasks)
    return Manifest(settings, members)


def _load(run: Run, address: str, expected: str) -> Record:
    record = run.store.load(address, expected)
    if record is not None:
        return record
    state = run.store.state(address, expected)
    raise StoreError(
        f"{address}.safetensors and {address}.json in {run.store!r}",
        got=f"a {state} record",
        expected="a record as it was written",
        remedy="Run the same fit_ensemble (or `verisimile fit`) again on this store:"
        " it makes what is missing or damaged and keeps the rest.",
    )


def assemble(run: Run, manifest: Manifest, records: Sequence[Record], seen: Seen) -> Ensemble:
    """Return the ensemble of trained members."""
    return Ensemble(
        models=tuple(
            unpack_any(cast(Any, record.meta)["model"], below(MODEL, record.arrays))
            for record in records
        ),
        features=manifest.features,
        records=tuple(_record_of(record) for record in records),
        failures=manifest.failures or (),
        training_digest=manifest.training_digest,
        provenance=(seen,),
        run=run,
    )


def _record_of(record: Record) -> MemberRecord:
    meta = cast(Any, record.meta)
    own: dict[str, Any] = {name: int(meta[name]) for name in _COUNTS}
    own |= {name: frozen(record.arrays[name]) for name in CURVES}
    own |= {name: float(meta[name]) for name in ("precision_gap", "seconds")}
    return MemberRecord(address=record.address, sha256=record.sha256, **own)


_NAME = "manifest.json"
_MANIFEST_SCHEMA = "verisimile.ensemble/1"
_PACKAGES = ("verisimile", "torch", "nflows", "numpy", "scipy")
_NAMED = 6
_REMEDY = "Choose another folder for these settings, or use the settings of this one to resume it."


@dataclass(frozen=True, slots=True)
class Manifest:
    """The configuration of an ensemble and where its members are.

    Attributes
    ----------
    settings
        Trainer, plan, features, training digest and seeds: two ensembles are
        the same if these agree.
    members
        Address and fingerprint of each member's record.
    failures
        Members whose training failed; None while training is not finished.
    """

    settings: Mapping[str, JSON]
    members: tuple[tuple[str, str], ...]
    failures: tuple[Failure, ...] | None = None

    @property
    def features(self) -> tuple[Feature, ...]:
        """Feature specifications."""
        return tuple(Feature.from_dict(value) for value in cast(Any, self.settings["features"]))

    @property
    def training_digest(self) -> str:
        """Digest of the training events."""
        return str(cast(Any, self.settings["training"])["digest"])

    @property
    def folds(self) -> int | None:
        """K of an ensemble that was trained over folds of the events, else None."""
        return cast(int | None, self.settings.get("folds"))


def check_manifest(store: Store, manifest: Manifest) -> None:
    """Raise if a folder belongs to another configuration; a store in memory is overwritten.

    Raises
    ------
    StoreError
        Naming the settings that differ.
    """
    found = store.read_json(_NAME)
    if found is None or isinstance(store, MemoryStore):
        return
    settings = found.get("settings") if isinstance(found, Mapping) else None
    if not isinstance(settings, Mapping):
        raise _unreadable(store, "no settings")
    there, here = _flat(settings), _flat(restore(cast(JSON, manifest.settings)))
    names = [name for name in sorted({*there, *here}) if there.get(name) != here.get(name)]
    if names:
        listed = [
            f"{n}: {there.get(n, 'absent')} there, {here.get(n, 'absent')} here" for n in names
        ]
        more = f"; and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        raise StoreError(
            f"{_NAME} in {store!r}",
            got=f"an ensemble with other settings ({'; '.join(listed[:_NAMED])}{more})",
            expected="an empty store, or one with the same settings",
            remedy=_REMEDY,
        )


def _begin(store: Store, manifest: Manifest) -> None:
    """Write the manifest, unless its folder has it already.

    Of processes that come to an empty folder at once, those of other settings are refused.
    """
    if not isinstance(store, DirectoryStore):
        write_manifest(store, manifest)
        return
    if store.read_json(_NAME) is not None:
        return
    settings = hashlib.sha256(canonical(manifest.settings, _NAME).encode()).hexdigest()
    with Lease.of(store.path).claim(_NAME, settings, "ensemble") as claim:
        for note in claim.notes:
            warnings.warn(note, VerisimileWarning, stacklevel=2)
        check_manifest(store, manifest)
        write_manifest(store, manifest)


def write_manifest(store: Store, manifest: Manifest) -> None:
    """Write the manifest; versions are those of the process that writes it first."""
    found = store.read_json(_NAME)
    versions = found.get("versions") if isinstance(found, Mapping) else None
    failed = manifest.failures
    store.write_json(
        _NAME,
        {
            "schema": _MANIFEST_SCHEMA,
            "settings": manifest.settings,
            "members": [{"address": a, "fingerprint": f} for a, f in manifest.members],
            "failures": None if failed is None else [asdict(failure) for failure in failed],
            "versions": versions or {**installed(_PACKAGES)},
        },
    )


def read_manifest(store: Store) -> Manifest:
    """Return the manifest of a store.

    Raises
    ------
    StoreError
        If there is none, or it is not of this kind.
    """
    found = store.read_json(_NAME)
    if found is None:
        raise StoreError(
            f"{_NAME} in {store!r}",
            got="no such document",
            expected="a store in which an ensemble was trained",
            remedy="Train one with vs.fit_ensemble or `verisimile fit`, or check the path.",
        )
    loose = cast(Any, found)
    try:
        if loose["schema"] != _MANIFEST_SCHEMA:
            raise _unreadable(store, f"schema {loose['schema']!r}")
        members = tuple((str(m["address"]), str(m["fingerprint"])) for m in loose["members"])
        failures = loose["failures"]
        failed = None if failures is None else tuple(Failure(**failure) for failure in failures)
        return Manifest(loose["settings"], members, failed)
    except (KeyError, TypeError) as error:
        raise _unreadable(store, f"{type(error).__name__}: {error}") from None


def _flat(value: JSON, prefix: str = "") -> dict[str, str]:
    """Return dotted names and canonical values of all leaves."""
    if isinstance(value, Mapping):
        parts = [_flat(item, f"{prefix}.{key}" if prefix else key) for key, item in value.items()]
    elif isinstance(value, Sequence) and not isinstance(value, str):
        parts = [_flat(item, f"{prefix}[{number}]") for number, item in enumerate(value)]
    else:
        return {prefix: canonical(value)}
    return {name: leaf for part in parts for name, leaf in part.items()}


def _unreadable(store: Store, reason: str) -> StoreError:
    return StoreError(
        f"{_NAME} in {store!r}",
        got=f"a document that is no ensemble's manifest ({reason})",
        expected=_MANIFEST_SCHEMA,
        remedy="Choose another folder, or remove this document and train again.",
    )
