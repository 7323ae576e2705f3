"""`gather_ensemble`: densities that are there already, as the members of an ensemble."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from verisimile.core.arrays import frozen
from verisimile.core.errors import require
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.inputs import EventsLike, as_events
from verisimile.data.provenance import TRAINING, Seen
from verisimile.density.adapters import adapt
from verisimile.density.check import precision_gap
from verisimile.density.identity import content_key
from verisimile.density.protocol import DensityEstimator
from verisimile.ensemble.ensemble import Ensemble, MemberRecord

_PROBES = 256
_NO_CURVE = frozen([])


def gather_ensemble(
    run: Run,
    models: Sequence[object],
    *,
    features: Sequence[Feature] | None = None,
    training: EventsLike | None = None,
) -> Ensemble:
    """Return an ensemble whose members are given, of one family or of several.

    Draws of a posterior, dropout masks, flows next to kernels, scipy
    distributions: whatever `adapt` takes can feed the weight fit.  The records say nothing
    of a training: no curves, a best epoch of -1, NaN seconds.

    Parameters
    ----------
    run
        Where the members' densities are computed and kept.
    models
        M densities of the same features, in the same order of columns.
    features
        Names, units and supports ``(d,)``; those of `training`, or ``x0, x1, ...``, if
        not given.
    training
        Events that the members were trained on, to notice when a later sample
        shares some.  Without them nothing can be noticed.

    Raises
    ------
    InputError
        If there is no model, one has no density, or the numbers of features differ.

    Notes
    -----
    A model of a registered family is identified by its content, any other one
    by 256 of its own draws and the densities there: kept densities of a model
    are used again for one that agrees in that.

    Examples
    --------
    >>> from scipy import stats
    >>> from verisimile.core.random import Seeds
    >>> gather_ensemble(Run(Seeds(1)), [stats.norm(0, 1), stats.laplace(0, 1)])
    Ensemble(M=2, features=(x0))
    """
    training = None if training is None else as_events(training, "training")
    require(len(models), "models", got="none", expected="at least one density")
    members = tuple(adapt(model) for model in models)
    specs = _features(members, features, training)
    seen = () if training is None else (Seen.of(TRAINING, training),)
    return Ensemble(
        models=members,
        features=specs,
        records=tuple(_record(i, member, training) for i, member in enumerate(members)),
        failures=(),
        training_digest="" if training is None else training.digest,
        provenance=seen,
        run=run,
    )


def _features(
    members: Sequence[DensityEstimator], features: Sequence[Feature] | None, training: Events | None
) -> tuple[Feature, ...]:
    widths = {int(member.n_features) for member in members}
    got = f"densities of {sorted(widths)} features"
    require(len(widths) == 1, "models", got=got, expected="one number")
    d = widths.pop()
    if features is None and training is not None:
        features = training.features
    specs = tuple(features) if features else tuple(Feature(f"x{i}") for i in range(d))
    got = f"{len(specs)} for densities of {d}"
    require(len(specs) == d, "features", got=got, expected="one per column")
    return specs


def _record(member: int, model: DensityEstimator, training: Events | None) -> MemberRecord:
    return MemberRecord(
        address="",
        sha256=content_key(model, _PROBES),
        member=member,
        replica=member,
        initialisation=0,
        training_curve=_NO_CURVE,
        validation_curve=_NO_CURVE,
        best_epoch=-1,
        n_training=0 if training is None else training.n,
        n_validation=0,
        precision_gap=precision_gap(model, model.sample(_PROBES, np.random.default_rng(0))),
        seconds=math.nan,
    )
