from __future__ import annotations

import json
import math

import numpy as np
import pytest

from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, SupportError
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.transforms import (
    Chain,
    Identity,
    Log,
    Logit,
    Probit,
    feature_transform,
    from_config,
)

FEATURES = (
    Feature("m", low=60.0, high=120.0),
    Feature("pt", low=0.0),
    Feature("t", high=5.0),
    Feature("eta"),
    Feature("cos", low=-1.0, high=1.0, transform="logit"),
)


def matrix(rng: np.random.Generator, n: int = 400) -> Array:
    return np.column_stack(
        [
            rng.uniform(60, 120, n),
            rng.exponential(10.0, n),
            5 - rng.exponential(1.0, n),
            rng.normal(3.0, 0.1, n),
            rng.uniform(-1, 1, n),
        ]
    )


@pytest.fixture
def events(rng: np.random.Generator) -> Events:
    return Events(matrix(rng), features=FEATURES)


@pytest.fixture
def chain(events: Events) -> Chain:
    return feature_transform(events)


@pytest.mark.parametrize(
    ("feature", "kind"),
    [
        (Feature("x"), Identity),
        (Feature("x", low=0.0), Log),
        (Feature("x", high=9.0), Log),
        (Feature("x", low=0.0, high=9.0), Probit),
        (Feature("x", low=0.0, high=9.0, kind="periodic"), Probit),
        (Feature("x", kind="periodic"), Identity),
        (Feature("x", low=0.0, high=9.0, kind="discrete"), Identity),
        (Feature("x", low=0.0, kind="spike-at-zero"), Log),
        (Feature("x", low=0.0, high=9.0, transform="logit"), Logit),
        (Feature("x", low=0.0, high=9.0, transform="identity"), Identity),
    ],
)
def test_the_specification_chooses_the_transform(feature: Feature, kind: type) -> None:
    sample = Events([[1.0], [2.0], [4.0]], features=(feature,))
    column = feature_transform(sample).columns[0]
    assert type(column) is kind
    assert (column.low, column.high) == (feature.low, feature.high)


def test_the_transformed_sample_is_standardised(events: Events, chain: Chain) -> None:
    y, _ = chain.forward(events.x)
    np.testing.assert_allclose(y.mean(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=0), 1.0, rtol=1e-12)


def test_inverse_undoes_forward(events: Events, chain: Chain) -> None:
    np.testing.assert_allclose(chain.inverse(chain.forward(events.x)[0]), events.x, rtol=1e-11)


def test_log_jacobian_is_that_of_the_numerical_map(events: Events, chain: Chain) -> None:
    x = events.x[:20]
    low = np.array([f.low for f in FEATURES])
    high = np.array([f.high for f in FEATURES])
    step = 1e-4 * np.minimum(np.minimum(x - low, high - x), 0.1)
    # The map acts feature by feature: its Jacobian is the product of the slopes.
    slopes = (chain.forward(x + step)[0] - chain.forward(x - step)[0]) / (2 * step)
    np.testing.assert_allclose(chain.forward(x)[1], np.log(slopes).sum(axis=1), atol=1e-6)


def test_a_change_of_units_changes_densities_by_its_factor(events: Events, chain: Chain) -> None:
    scaled = (Feature("m", low=60e3, high=120e3), *FEATURES[1:])
    in_mev = Events(events.x * [1e3, 1, 1, 1, 1], features=scaled)
    y, log_jacobian = feature_transform(in_mev).forward(in_mev.x)
    expected_y, expected = chain.forward(events.x)
    np.testing.assert_allclose(y, expected_y, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(log_jacobian, expected - math.log(1e3), rtol=1e-10)


def test_positive_weights_enter_the_standardisation(rng: np.random.Generator) -> None:
    x = rng.normal(size=(50, 1))
    weights = rng.integers(1, 4, 50)
    weighted = feature_transform(Events(x, weights))
    repeated = feature_transform(Events(np.repeat(x, weights, axis=0)))
    np.testing.assert_allclose(weighted.shift, repeated.shift, rtol=1e-12)
    np.testing.assert_allclose(weighted.scale, repeated.scale, rtol=1e-12)


def test_signed_weights_do_not(rng: np.random.Generator) -> None:
    x, weights = rng.normal(size=(50, 1)), rng.normal(size=50)
    signed = feature_transform(Events(x, weights)).config()
    assert signed == feature_transform(Events(x)).config()


def test_config_round_trip_is_exact(events: Events, chain: Chain) -> None:
    rebuilt = from_config(json.loads(json.dumps(chain.config(), allow_nan=False)))
    assert rebuilt.config() == chain.config()
    assert rebuilt.columns == chain.columns
    for ours, theirs in zip(rebuilt.forward(events.x), chain.forward(events.x), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("config", [{}, {"columns": [{"kind": "pickle"}]}, {"columns": 3}])
def test_a_strange_config_is_told(config: dict[str, object]) -> None:
    with pytest.raises(InputError, match="transform: got a description"):
        from_config(config)  # type: ignore[arg-type]


def test_inside_is_the_closed_support(chain: Chain) -> None:
    good = np.array([90.0, 1.0, 0.0, 3.0, 0.0])
    rows = np.tile(good, (9, 1))
    rows[1, 0], rows[2, 0], rows[3, 1], rows[4, 2] = 60.0, 59.999, -1e-300, 5.1
    rows[5, 3], rows[6, 4], rows[7, 0], rows[8, 3] = -1e300, 1.0, np.nan, np.inf
    expected = [True, True, False, False, False, True, True, False, True]
    assert chain.inside(rows).tolist() == expected


def test_forward_tells_rows_outside(events: Events, chain: Chain) -> None:
    x = np.array(events.x)
    x[[4, 7], 1] = -2.0
    with pytest.raises(SupportError, match=r"2 rows outside the support.*'pt': -2.0.*inside"):
        chain.forward(x)


def test_forward_tells_non_finite_and_misshapen_input(events: Events, chain: Chain) -> None:
    with pytest.raises(InputError, match="non-finite"):
        chain.forward(np.full((1, 5), np.nan))
    with pytest.raises(InputError, match="4 columns; expected 5"):
        chain.forward(events.x[:, :4])
    with pytest.raises(InputError, match=r"shape \(400, 4\)"):
        chain.inverse(events.x[:, :4])


def test_extreme_rows_inside_the_support_have_finite_images(chain: Chain) -> None:
    huge = 1.7976931348623157e308
    rows = [[60.0, 0.0, 5.0, huge, -1.0], [120.0, huge, -huge, -huge, 1.0], [61, 5e-324, 0, 0, 0]]
    y, log_jacobian = chain.forward(rows)
    assert np.isfinite(y).all()
    assert np.isfinite(log_jacobian).all()
    assert np.isfinite(chain.inverse(y)).all()


def test_inverse_of_anything_is_in_the_support_and_keeps_nan(chain: Chain) -> None:
    y = np.array([[-1e308] * 5, [-50.0] * 5, [50.0] * 5, [1e308] * 5, [np.nan] * 5])
    x = chain.inverse(y)
    assert chain.inside(x).tolist() == [True, True, True, True, False]
    assert np.isnan(x[4]).all()


@pytest.mark.parametrize("size", [1e-300, 1.0, 1e300])
def test_standardisation_survives_any_magnitude(rng: np.random.Generator, size: float) -> None:
    x = rng.normal(size=(100, 1))
    y, log_jacobian = feature_transform(Events(x * size)).forward(x * size)
    expected, base = feature_transform(Events(x)).forward(x)
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(log_jacobian, base - math.log(size), rtol=1e-12)


def test_zeros_are_nudged_to_half_the_smallest_interior_value() -> None:
    sample = Events([[0.0], [0.5], [2.0], [8.0]], features=(Feature("e", low=0.0),))
    assert feature_transform(sample).columns[0] == Log(low=0.0, nudge=0.25)


@pytest.mark.parametrize(
    ("feature", "values"),
    [
        (Feature("c"), [3.0, 3.0, 3.0]),
        (Feature("c"), [0.0, 0.0, 0.0]),
        (Feature("c", low=0.0), [0.0, 0.0, 0.0]),
        (Feature("c", low=0.0), [2.0, 2.0, 2.0]),
        (Feature("c", low=0.0, high=1.0), [1.0, 1.0, 1.0]),
        (Feature("c"), [1.0, np.nextafter(1.0, 2.0), 1.0]),
    ],
)
def test_a_constant_column_is_told(feature: Feature, values: list[float]) -> None:
    x = np.column_stack([np.arange(3.0), values])
    with pytest.raises(InputError, match="column 'c': got a constant"):
        feature_transform(Events(x, features=(Feature("a"), feature)))


def test_fewer_events_than_features_are_told() -> None:
    with pytest.raises(InputError, match="2 events with 3 features"):
        feature_transform(Events([[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]]))
