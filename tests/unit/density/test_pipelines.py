"""Pipelines of scikit-learn as densities of the original units, by numerical integration."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.density.adapters import adapt
from verisimile.density.check import check_estimator
from verisimile.density.protocol import DensityEstimator


@pytest.fixture
def x(rng: np.random.Generator) -> Array:
    """Positive events of very different scales, so that a missing Jacobian shows."""
    return np.asarray(rng.gamma(6.0, [0.01, 30.0], (300, 2)) + [0.2, 1.0])


def _integral(model: DensityEstimator, x: Array, nodes: int = 400) -> float:
    """Return the integral over a box far around the events, by the midpoint rule."""
    width = np.ptp(x, axis=0)
    low, high = x.min(axis=0) - 2 * width, x.max(axis=0) + 2 * width
    steps = (high - low) / nodes
    axes = [low[k] + steps[k] * (np.arange(nodes) + 0.5) for k in range(2)]
    places = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    return float(np.exp(model.log_prob(places)).sum() * steps.prod())


@pytest.mark.parametrize(
    "steps",
    [
        (StandardScaler(),),
        (MinMaxScaler((-1, 3)),),
        (MaxAbsScaler(), "passthrough"),
        (RobustScaler(), StandardScaler(with_mean=False)),
        (StandardScaler(), PCA()),
        (PCA(whiten=True),),
    ],
)
def test_a_pipeline_is_a_density_of_the_original_units(steps: tuple[object, ...], x: Array) -> None:
    fitted = make_pipeline(*steps, GaussianMixture(2, random_state=0)).fit(x)
    model = adapt(fitted)
    assert _integral(model, x) == pytest.approx(1.0, abs=2e-3)
    assert check_estimator(model, draws=500).problems == ()
    # Its own score is the density of the scaled features.
    shift = model.log_prob(x) - fitted.score_samples(x)
    assert np.ptp(shift) < 1e-9
    assert abs(shift[0]) > 0.3


@pytest.mark.parametrize("standardize", [True, False])
def test_a_power_map_has_a_jacobian_that_varies(
    standardize: bool,
    rng: np.random.Generator,
) -> None:
    x = rng.gamma(2.0, [1.0, 1.0], (400, 2)) - 0.5
    step = PowerTransformer(standardize=standardize)
    fitted = make_pipeline(step, GaussianMixture(1, random_state=0)).fit(x)
    fitted[0].lambdas_ = np.array([0.0, 0.3])  # the logarithm, and a power
    fitted[-1].fit(fitted[0].transform(x))
    model = adapt(fitted)
    assert _integral(model, x) == pytest.approx(1.0, abs=5e-3)
    assert check_estimator(model, draws=500).problems == ()


def test_kernels_search_table_and_factors(x: Array) -> None:
    table = pd.DataFrame(x, columns=["m", "pt"])
    kernels = make_pipeline(StandardScaler(), KernelDensity(bandwidth=0.3)).fit(table)
    search = GridSearchCV(KernelDensity(), {"bandwidth": [0.2, 0.4]}, cv=2).fit(x / x.std(axis=0))
    for model in [kernels, search, PCA(1).fit(x), FactorAnalysis(1, random_state=0).fit(x)]:
        assert check_estimator(model, draws=500).problems == (), model
    assert _integral(adapt(kernels), x) == pytest.approx(1.0, abs=2e-3)
    own = PCA(1).fit(x)
    np.testing.assert_allclose(adapt(own).log_prob(x), own.score_samples(x), rtol=1e-8)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (MinMaxScaler(clip=True), "clips"),
        (QuantileTransformer(n_quantiles=50), "Jacobian is not known"),
        (FunctionTransformer(np.log, np.exp), "Jacobian is not known"),
        (PCA(1), "1 of 2 components"),
        (PowerTransformer("box-cox"), "image is bounded"),
    ],
)
def test_a_step_without_its_jacobian_is_refused(step: object, reason: str, x: Array) -> None:
    fitted = make_pipeline(step, GaussianMixture(1, random_state=0)).fit(x)
    with pytest.raises(InputError, match=reason):
        adapt(fitted)


def test_a_pipeline_that_is_not_fitted_is_refused() -> None:
    with pytest.raises(InputError, match="not fitted"):
        adapt(make_pipeline(StandardScaler(), GaussianMixture()))
