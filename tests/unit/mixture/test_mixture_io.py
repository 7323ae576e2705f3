"""A mixture in a run folder: with its discrepancy, without, of an older version, damaged."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from biased_ensemble import truth
from verisimile.core.arrays import Array
from verisimile.core.canonical import JSON
from verisimile.core.errors import StoreError, VerisimileWarning
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Record
from verisimile.core.result import Estimate, to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.density.flows.trainer import SplineFlowTrainer
from verisimile.density.mixtures.gaussian import GaussianMixtureTrainer
from verisimile.ensemble.fit import fit_ensemble
from verisimile.ensemble.plan import BootstrapPlan
from verisimile.mixture.bind import fit_mixture
from verisimile.mixture.discrepancy.corrected import CorrectedMixture
from verisimile.mixture.discrepancy.fit import Discrepancy
from verisimile.mixture.io import load_mixture, save_mixture
from verisimile.mixture.model import Mixture

ADDRESS, SCHEMA = "mixture/weights", "verisimile.mixture/2"


PLAN, TRAINER = BootstrapPlan(members=3), GaussianMixtureTrainer(components=(2,))


class Fitted(NamedTuple):
    """A run folder with both mixtures of one ensemble; the corrected one is kept in it."""

    folder: Path
    test: Events
    plain: Mixture
    corrected: Mixture


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    rng = np.random.default_rng(3)
    training, weighting, test = (Events(truth(n, rng), names=("a", "b")) for n in (1500, 900, 50))
    folder = tmp_path_factory.mktemp("fitted") / "run"
    run = Run(Seeds(1), store=folder)
    ensemble = fit_ensemble(run, training, PLAN, TRAINER)
    plain, corrected = (
        fit_mixture(run, ensemble, weighting, discrepancy=settings)
        for settings in (None, Discrepancy(reference=20_000, draws=60))
    )
    save_mixture(run, corrected)
    return Fitted(folder, test, plain, corrected)


@pytest.fixture
def run(fitted: Fitted, tmp_path: Path) -> Run:
    """A run in a copy of the folder."""
    return Run(Seeds(1), store=shutil.copytree(fitted.folder, tmp_path / "run"))


def record_of(run: Run) -> Record:
    record = run.store.load(ADDRESS, SCHEMA)
    assert record is not None
    return record


def rewritten(run: Run, change: Callable[[dict[str, JSON]], object]) -> None:
    """Save the record again with other facts."""
    record = record_of(run)
    meta = dict(record.meta)
    change(meta)
    run.store.save(ADDRESS, SCHEMA, "mixture", Payload(record.arrays, meta))


def test_a_corrected_mixture_comes_back_whole(run: Run, fitted: Fitted) -> None:
    mixture, test = fitted.corrected, fitted.test
    assert isinstance(mixture, CorrectedMixture)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = load_mixture(run)
    assert isinstance(again, CorrectedMixture)
    assert again.fingerprint == mixture.fingerprint
    assert to_dict(again.discrepancy) == to_dict(mixture.discrepancy)
    np.testing.assert_array_equal(again.log_prob(test), mixture.log_prob(test))
    np.testing.assert_array_equal(again.std(test), mixture.std(test))
    drawn, as_drawn = (one.draw(200, Run(Seeds(8))).x for one in (again, mixture))
    np.testing.assert_array_equal(drawn, as_drawn)
    # An expectation needs no draws but those of the fit, which are in the folder.
    before = run.store.addresses("draws")
    assert again.expectation(_first, run) == mixture.expectation(_first, Run(Seeds(1)))
    assert run.store.addresses("draws") == before != []


def _first(x: Array) -> Array:
    return np.asarray(x[:, 0])


def test_saved_again_it_is_the_same_record(run: Run) -> None:
    before = record_of(run)
    save_mixture(run, load_mixture(run))
    after = record_of(run)
    assert (after.sha256, after.meta) == (before.sha256, before.meta)


def test_a_mixture_without_discrepancy_stays_one(run: Run, fitted: Fitted) -> None:
    save_mixture(run, fitted.plain)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = load_mixture(run)
    assert type(again) is Mixture
    assert again.fingerprint == fitted.plain.fingerprint


def test_an_older_record_says_what_it_lacks(run: Run, fitted: Fitted) -> None:
    save_mixture(run, fitted.plain)
    rewritten(run, lambda meta: meta.pop("discrepancy"))
    with pytest.warns(VerisimileWarning, match="leave out what all members miss alike"):
        again = load_mixture(run)
    assert type(again) is Mixture
    assert again.fingerprint == fitted.plain.fingerprint


@pytest.mark.parametrize(
    ("told", "named"),
    [
        (to_dict(Estimate(1.0, 0.1)), "DiscrepancyFit"),
        ({"schema": "verisimile.discrepancy-fit/99"}, "newer"),
        ({"schema": "verisimile.discrepancy-fit/1", "log_norm": 0.0}, "DiscrepancyFit"),
        (None, "members that are not those"),
    ],
)
def test_another_discrepancy_is_refused(run: Run, told: JSON, named: str) -> None:
    rewritten(run, lambda meta: meta.update(discrepancy=told))
    with pytest.raises(StoreError, match=named):
        load_mixture(run)


@pytest.mark.parametrize(
    ("factor", "named"), [(2.0, "members that are not those"), (None, "a reference to an array")]
)
def test_other_numbers_are_refused(run: Run, factor: float | None, named: str) -> None:
    record = record_of(run)
    name = "DiscrepancyFit.covariance"
    arrays = {key: array for key, array in record.arrays.items() if key != name}
    if factor is not None:
        arrays[name] = factor * record.arrays[name]
    run.store.save(ADDRESS, SCHEMA, "mixture", Payload(arrays, record.meta))
    with pytest.raises(StoreError, match=named):
        load_mixture(run)


def test_a_damaged_file_is_refused(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "run" / f"{ADDRESS}.safetensors"
    data = bytearray(file.read_bytes())
    data[-9] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(StoreError, match="corrupt"):
        load_mixture(run)


def test_a_run_is_read_where_densities_are_rounded_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Compiled code here, torch there: the parameters are the same, the last bits are not.
    rng = np.random.default_rng(3)
    training, weighting = (Events(truth(n, rng), names=("a", "b")) for n in (600, 300))
    run = Run(Seeds(1), store=tmp_path)
    trainer = SplineFlowTrainer(layers=2, hidden=12, bins=5, epochs=1)
    ensemble = fit_ensemble(run, training, BootstrapPlan(members=2), trainer)
    mixture = fit_mixture(run, ensemble, weighting, discrepancy=None)
    save_mixture(run, mixture)
    here = mixture.log_prob(weighting)
    monkeypatch.setenv("VERISIMILE_NATIVE", "0")
    there = load_mixture(Run(Seeds(1), store=tmp_path))
    assert there.fingerprint == mixture.fingerprint
    np.testing.assert_allclose(there.log_prob(weighting), here, rtol=1e-4, atol=1e-4)
