"""A fitted mixture in a run folder: weights beside the members that they belong to."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import cast

from verisimile.core.arrays import frozen
from verisimile.core.canonical import JSON
from verisimile.core.errors import StoreError, VerisimileWarning
from verisimile.core.records import Payload, Record
from verisimile.core.result import from_dict, from_parts, to_dict, to_parts
from verisimile.core.run import Run
from verisimile.data.provenance import Provenance, Seen
from verisimile.ensemble.cross import load_trained
from verisimile.ensemble.fit import load_ensemble
from verisimile.mixture.bind import context_columns, ensemble_features
from verisimile.mixture.conditional import ConditionalMixture
from verisimile.mixture.discrepancy.conditional import CorrectedConditionalMixture
from verisimile.mixture.discrepancy.corrected import CorrectedMixture
from verisimile.mixture.discrepancy.matched import ConditionalDiscrepancyFit
from verisimile.mixture.discrepancy.posterior import DiscrepancyFit
from verisimile.mixture.fit import FitRecord, WeightFit
from verisimile.mixture.kept import kept_draws
from verisimile.mixture.model import Mixture

_ADDRESS = "mixture/weights"
_SCHEMA = "verisimile.mixture/2"
_CORRECTION = "discrepancy"
_CONDITIONAL = "conditional_discrepancy"
_OPTIONAL = ("draws", "boundary", "unbounded")


def save_mixture(run: Run, mixture: Mixture | ConditionalMixture) -> None:
    """Keep weights, covariance, discrepancy and the footprint of the data in the run's store."""
    fit = mixture.fit
    correction = mixture.discrepancy if isinstance(mixture, CorrectedMixture) else None
    told, large = (None, {}) if correction is None else to_parts(correction)
    arrays = {
        "weights": fit.weights,
        "covariance": fit.covariance,
        "inverse_hessian": fit.inverse_hessian,
        **{name: values for name in _OPTIONAL if (values := getattr(fit, name)) is not None},
        **{f"rows_{i}": seen.rows for i, seen in enumerate(mixture.provenance)},
        **large,
    }
    meta: dict[str, JSON] = {
        "nll": float(fit.nll),
        "record": to_dict(fit.record),
        "provenance": [[seen.role, seen.digest] for seen in mixture.provenance],
        "mixture": mixture.fingerprint,
        _CORRECTION: told,
        **_conditional_discrepancy(mixture),
    }
    run.store.save(_ADDRESS, _SCHEMA, "mixture", Payload(arrays, meta))


def load_mixture(run: Run) -> Mixture:
    """Return the mixture kept in the run's store, with its members and its discrepancy.

    Raises
    ------
    StoreError
        If none was kept, or the members are not those that the weights were fitted for.

    Warns
    -----
    VerisimileWarning
        If it is that of a version which knew no discrepancy.
    """
    ensemble = load_trained(run)
    record = _load(run)
    mixture = Mixture(
        ensemble.members,
        _weight_fit(record),
        features=ensemble.features,
        provenance=_provenance(record),
    )
    correction = _correction(record)
    if correction is not None:
        # Drawn again from their seeds if they were lost.
        draws = kept_draws(run, mixture, correction.record.reference)
        mixture = CorrectedMixture(mixture, correction, draws=draws)
    _same(mixture.fingerprint, record)
    return mixture


def load_conditional_mixture(run: Run) -> ConditionalMixture:
    """Return the conditional mixture kept in the run's store: see :func:`load_mixture`."""
    ensemble = load_ensemble(run)
    record = _load(run)
    mixture = ConditionalMixture(
        ensemble.conditionals,
        _weight_fit(record),
        features=ensemble_features(ensemble),
        context=context_columns(ensemble),
        provenance=_provenance(record),
    )
    mixture = _corrected_conditional(mixture, record)
    _same(mixture.fingerprint, record)
    return mixture


def has_mixture(run: Run) -> bool:
    """Return whether a mixture was kept in the run's store."""
    return run.store.load(_ADDRESS, _SCHEMA) is not None


def _conditional_discrepancy(mixture: Mixture | ConditionalMixture) -> dict[str, JSON]:
    """Return what is kept of the correction of a conditional mixture, if it has one."""
    if not isinstance(mixture, CorrectedConditionalMixture):
        return {}
    kept: dict[str, JSON] = {"fit": to_dict(mixture.discrepancy), "norm": mixture.norm}
    return {_CONDITIONAL: kept}


def _corrected_conditional(mixture: ConditionalMixture, record: Record) -> ConditionalMixture:
    """Return the mixture with the correction that was kept with it, if any."""
    kept = cast(Mapping[str, JSON] | None, record.meta.get(_CONDITIONAL))
    if kept is None:
        return mixture
    fit = from_dict(cast(Mapping[str, JSON], kept["fit"]))
    if not isinstance(fit, ConditionalDiscrepancyFit):
        got = type(fit).__name__
        raise StoreError("mixture record", got=got, expected="a ConditionalDiscrepancyFit")
    return CorrectedConditionalMixture(mixture, fit, norm=cast(int, kept["norm"]))


def _load(run: Run) -> Record:
    record = run.store.load(_ADDRESS, _SCHEMA)
    if record is None:
        raise StoreError(
            "mixture",
            got=f"a {run.store.state(_ADDRESS, _SCHEMA)} record at {_ADDRESS}",
            expected="fitted weights",
            remedy="Run `verisimile fit` again: it repeats only what is missing.",
        )
    return record


def _same(fingerprint: str, record: Record) -> None:
    if fingerprint != record.meta["mixture"]:
        raise StoreError(
            "mixture",
            got="members that are not those the weights were fitted for",
            expected=f"a mixture with fingerprint {str(record.meta['mixture'])[:12]}",
            remedy="Run `verisimile fit` again in this folder, or restore the members.",
        )


def _weight_fit(record: Record) -> WeightFit:
    stored = from_dict(cast(Mapping[str, JSON], record.meta["record"]))
    if not isinstance(stored, FitRecord):
        raise StoreError("mixture record", got=type(stored).__name__, expected="a FitRecord")
    return WeightFit(
        weights=frozen(record.arrays["weights"]),
        covariance=frozen(record.arrays["covariance"]),
        inverse_hessian=frozen(record.arrays["inverse_hessian"]),
        nll=cast(float, record.meta["nll"]),
        record=stored,
        **{name: frozen(record.arrays[name]) for name in _OPTIONAL if name in record.arrays},
    )


def _correction(record: Record) -> DiscrepancyFit | None:
    """Return the discrepancy, None of a fit without it."""
    if _CORRECTION not in record.meta:
        warnings.warn(
            "this mixture was fitted before discrepancies were: its errors are those of the "
            "weights given the members, and leave out what all members miss alike. Fit it again "
            "into a new folder, or learn the discrepancy by correct_mixture.",
            VerisimileWarning,
            stacklevel=3,
        )
        return None
    told = record.meta[_CORRECTION]
    if told is None:
        return None
    found = from_parts(cast(Mapping[str, JSON], told), record.arrays)
    if not isinstance(found, DiscrepancyFit):
        raise StoreError("discrepancy", got=type(found).__name__, expected="a DiscrepancyFit")
    return found


def _provenance(record: Record) -> Provenance:
    footprints = cast(Sequence[tuple[str, str]], record.meta["provenance"])
    return tuple(
        Seen(role, digest, record.arrays[f"rows_{i}"])
        for i, (role, digest) in enumerate(footprints)
    )
