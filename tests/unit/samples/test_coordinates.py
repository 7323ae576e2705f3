"""Angles on circles: what is made of them does not know where they were cut."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from verisimile.checks.amplification.memorisation import memorisation
from verisimile.checks.amplification.quadratic import quadratic
from verisimile.checks.physics.correlations import correlations
from verisimile.checks.physics.histograms import marginal_pair, wasserstein
from verisimile.checks.physics.moments import moments
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.samples.coordinates import circles, circular_events, in_turns
from verisimile.validation.study import Battery, Study
from verisimile.validation.validate import validate

Floats = npt.NDArray[np.floating[Any]]
PHI = Feature("phi", kind="periodic")
DEGREES = Feature("angle", kind="periodic", low=0.0, high=360.0)
ANGLES = (0.1, 1.0, math.pi, 5.0)


def turned_by(values: Floats, angle: float) -> Array:
    """Return angles turned, cut at -π again."""
    return np.asarray((values + angle + math.pi) % (2.0 * math.pi) - math.pi)


LAWS: dict[str, Callable[[np.random.Generator], Floats]] = {
    "bump": lambda rng: turned_by(rng.normal(2.9, 0.4, 500), 0.0),
    "uniform": lambda rng: rng.uniform(-math.pi, math.pi, 500),
    "lattice": lambda rng: rng.integers(0, 12, 500) * (2.0 * math.pi / 12.0) - math.pi,
    "two places": lambda rng: np.where(rng.random(500) < 0.4, -math.pi / 2.0, math.pi / 2.0),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("angle", ANGLES)
def test_turning_all_events_moves_nothing(law: str, angle: float, rng: np.random.Generator) -> None:
    phi = np.asarray(LAWS[law](rng), dtype=np.float64)
    before = in_turns(phi[:, None], [PHI])
    after = in_turns(turned_by(phi, angle)[:, None], [PHI])
    np.testing.assert_allclose(after, before, rtol=0.0, atol=5e-12)
    # Places that were one stay one, so that ranks do not notice either.
    assert np.unique(after).size == np.unique(before).size
    around = np.array([True])
    np.testing.assert_allclose(
        circles(after, around).x, circles(before, around).x, rtol=0.0, atol=2e-11
    )


def test_a_symmetric_lattice_has_a_frame_up_to_its_symmetry() -> None:
    phi = np.repeat(np.arange(3) * (2.0 * math.pi / 3.0), 5)
    for angle in ANGLES:
        found = np.unique(np.round(in_turns((phi + angle)[:, None], [PHI]), 9))
        np.testing.assert_allclose(found, np.array([1.0, 3.0, 5.0]) / 6.0, atol=1e-8)


def test_circles_keep_other_features_and_know_their_columns(rng: np.random.Generator) -> None:
    x = np.column_stack([rng.normal(size=50), rng.uniform(0, 360, 50), rng.normal(size=50)])
    unrolled = in_turns(x, [Feature("a"), DEGREES, Feature("b")])
    assert unrolled[:, [0, 2]].tolist() == x[:, [0, 2]].tolist()
    found = circles(unrolled, np.array([False, True, False]))
    assert found.x.shape == (50, 4)
    assert found.source.tolist() == [0, 1, 1, 2]
    assert found.blocks == ((1, 2),)
    np.testing.assert_allclose(found.x[:, 1] ** 2 + found.x[:, 2] ** 2, 1.0, atol=1e-11)
    assert in_turns(x, [Feature("a"), Feature("angle"), Feature("b")]) is x


def test_a_column_that_does_not_vary_is_left_out() -> None:
    phi = np.array([0.0, math.pi, 0.0, 0.0])
    found = circles(in_turns(phi[:, None], [PHI]), np.array([True]))
    assert found.x.shape == (4, 1)
    assert found.blocks == ((0,),)


def test_an_angle_in_degrees_without_its_period_is_told() -> None:
    x = np.linspace(0.0, 360.0, 50)[:, None]
    with pytest.raises(InputError, match="'phi': got a periodic feature without bounds.*degrees"):
        in_turns(x, [PHI])
    # Differences of two angles go round twice.
    in_turns(np.linspace(-2.0 * math.pi, 2.0 * math.pi, 50)[:, None], [PHI])


def test_features_become_cosine_and_sine_about_the_mean(rng: np.random.Generator) -> None:
    phi = rng.normal(3.0, 0.1, 4000)
    first = Events(
        np.column_stack([phi, phi]), features=[PHI, Feature("m")], group=(phi > 3).astype(int)
    )
    (found,) = circular_events([first])
    assert found.names == ("phi (cos)", "phi (sin)", "m")
    assert found.column("phi (cos)").mean() == pytest.approx(math.exp(-0.005), rel=1e-3)
    assert found.column("phi (sin)").mean() == pytest.approx(0.0, abs=1e-9)
    # The sine grows with the angle.
    assert np.corrcoef(found.column("phi (sin)"), phi)[0, 1] > 0.99
    assert found.n_groups == 2
    plain = Events(first.x, names=("phi", "m"))
    assert circular_events([plain]) == (plain,)


@pytest.mark.parametrize("angle", ANGLES)
def test_moments_correlations_and_distances_stay_where_angles_are_turned(
    angle: float, rng: np.random.Generator
) -> None:
    phi, m = rng.normal(3.0, 0.8, (2, 400)), rng.normal(size=(2, 400))
    m += np.sin(phi)

    def samples(angle: float, feature: Feature) -> tuple[Events, Events]:
        x = [np.column_stack([turned_by(p, angle), q]) for p, q in zip(phi, m, strict=True)]
        return tuple(Events(one, features=[feature, Feature("m")]) for one in x)  # type: ignore[return-value]

    def numbers(angle: float, feature: Feature) -> Array:
        pair = samples(angle, feature)
        found = [one.z for one in moments(*pair)]
        return np.concatenate([*found, correlations(*pair).z.ravel(), [wasserstein(*pair, "phi")]])

    before, after = numbers(0.0, PHI), numbers(angle, PHI)
    np.testing.assert_allclose(after, before, rtol=1e-6, atol=1e-8)
    plain = Feature("phi")
    assert np.nanmax(np.abs(numbers(angle, plain) - numbers(0.0, plain))) > 0.1


def test_marginals_have_one_whole_period(rng: np.random.Generator) -> None:
    pair = [Events(rng.uniform(0, 360, (300, 1)), features=[DEGREES]) for _ in range(2)]
    (found,) = marginal_pair(pair[0], pair[1], bins=8)
    np.testing.assert_allclose(found.edges, np.linspace(0.0, 360.0, 9))
    radians = [Events(one.x * (math.pi / 180.0) - 7.0, features=[PHI]) for one in pair]
    (found,) = marginal_pair(radians[0], radians[1], bins=8)
    np.testing.assert_allclose(found.edges, np.linspace(-math.pi, math.pi, 9))
    assert found.reference.shares[1:-1].sum() == pytest.approx(1.0)


def test_wasserstein_distance_of_shifted_angles_is_the_shift() -> None:
    turns = (np.arange(200) + 0.5) / 200.0 * 0.2  # a fifth of the circle, across the cut
    phi = 2.0 * math.pi * (turns - 0.1)
    first = Events(phi[:, None], features=[PHI])
    second = Events(turned_by(phi, 0.5)[:, None], features=[PHI])
    spread = math.sqrt(1.0 - abs(np.exp(1j * phi).mean()) ** 2)
    assert wasserstein(first, second, "phi") == pytest.approx(0.5 / spread, rel=1e-9)


def test_neighbours_and_support_do_not_notice_the_cut(rng: np.random.Generator) -> None:
    phi = [rng.normal(3.0, 0.8, n) for n in (300, 200, 200)]
    m = [rng.normal(size=one.size) for one in phi]

    def samples(angle: float, feature: Feature) -> list[Events]:
        return [
            Events(np.column_stack([turned_by(p, angle), q]), features=[feature, Feature("m")])
            for p, q in zip(phi, m, strict=True)
        ]

    def numbers(angle: float, feature: Feature) -> Array:
        generated, train, holdout = samples(angle, feature)
        run = Run(Seeds(2))
        memory = memorisation(run, generated, holdout, train, permutations=99)
        gain = quadratic(run, generated, holdout, 200)
        quick = Study(battery=Battery(tests=("energy",), sensitivity=False, physics=False))
        support = validate(run, train, generated, study=quick).support
        assert support is not None
        metrics = [metric.value.value for metric in support.metrics]
        return np.array([memory.share.value, memory.log_ratio, gain.inverse_gain.value, *metrics])

    before, after = numbers(0.0, PHI), numbers(1.0, PHI)
    np.testing.assert_allclose(after, before, rtol=1e-6, atol=1e-9)
    plain = Feature("phi")
    assert (np.abs(numbers(1.0, plain) - numbers(0.0, plain)) > 1e-3).sum() >= 4
