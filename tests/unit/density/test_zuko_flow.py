"""The zuko flow keeps the promises of a density estimator, where zuko is installed."""

from __future__ import annotations

import importlib.util
import pickle
import sys

import numpy as np
import pytest

from trained_generators import camel_events, plane_events
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.density.check import check_estimator
from verisimile.density.flows.zuko import ZukoSplineTrainer
from verisimile.density.protocol import DensityEstimator, Fitted
from verisimile.density.registry import pack, unpack
from verisimile.ensemble.fit import fit_ensemble
from verisimile.ensemble.plan import BootstrapPlan

INSTALLED = importlib.util.find_spec("zuko") is not None
TRAINER = ZukoSplineTrainer(layers=2, hidden=16, epochs=10, batch=64)
needs_zuko = pytest.mark.skipif(not INSTALLED, reason="zuko is not installed")


@pytest.fixture(scope="module")
def fitted() -> Fitted[DensityEstimator]:
    training, validation = plane_events().split((0.7, 0.3), Seeds(1))
    return TRAINER.fit(training, validation, Seeds(2))


@needs_zuko
def test_keeps_every_promise(fitted: Fitted[DensityEstimator]) -> None:
    assert check_estimator(fitted.model).problems == ()


@needs_zuko
def test_normalised_on_the_line() -> None:
    training, validation = camel_events().split((0.7, 0.3), Seeds(1))
    model = TRAINER.fit(training, validation, Seeds(2)).model
    x = np.linspace(-12, 12, 8001)
    assert np.trapezoid(np.exp(model.log_prob(x[:, None])), x) == pytest.approx(1, abs=1e-3)


@needs_zuko
def test_stored_and_pickled_flows_are_rebuilt_bit_by_bit(fitted: Fitted[DensityEstimator]) -> None:
    x = plane_events().x[:100]
    payload = pack(fitted.model)
    for again in (unpack(payload.meta, payload.arrays), pickle.loads(pickle.dumps(fitted.model))):
        np.testing.assert_array_equal(again.log_prob(x), fitted.model.log_prob(x))
        one, two = (m.sample(9, np.random.default_rng(1)) for m in (again, fitted.model))
        np.testing.assert_array_equal(one, two)


@needs_zuko
def test_same_seeds_same_model(fitted: Fitted[DensityEstimator]) -> None:
    training, validation = plane_events().split((0.7, 0.3), Seeds(1))
    again = TRAINER.fit(training, validation, Seeds(2))
    np.testing.assert_array_equal(again.validation_curve, fitted.validation_curve)


@needs_zuko
def test_density_far_away_is_zero(fitted: Fitted[DensityEstimator]) -> None:
    far = np.array([[1e300, 0.0], [0.0, -1e5]])
    assert (fitted.model.log_prob(far) == -np.inf).all()


def test_its_absence_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zuko.flows", None)  # as if it were not installed
    training, validation = plane_events(200).split((0.7, 0.3), Seeds(1))
    with pytest.raises(InputError, match=r"verisimile\[zuko\]"):
        TRAINER.fit(training, validation, Seeds(2))
    with pytest.raises(InputError, match=r"verisimile\[zuko\]"):  # once, and by no member
        fit_ensemble(Run(Seeds(1)), training, BootstrapPlan(members=2), TRAINER)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="positive settings"):
        ZukoSplineTrainer(layers=0)
