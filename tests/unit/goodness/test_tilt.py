"""The exponential tilt on a model: features, statistic, limits, and the test as users call it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize

from analytic import Blend, draw, family, log_densities
from verisimile.checks.goodness.alternatives.kernels import GaussianKernels
from verisimile.checks.goodness.alternatives.tilt import (
    ExponentialTilt,
    TiltFits,
    TiltSetup,
)
from verisimile.checks.goodness.likelihood_ratio import goodness_of_fit
from verisimile.checks.goodness.null import FluctuatedCentre, NullModel, Predictive
from verisimile.checks.goodness.profile import HYPOTHESES, Profile
from verisimile.checks.goodness.search import observed
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError, SupportError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.mixture.fit import fit_weights
from verisimile.mixture.model import Mixture
from verisimile.mixture.objective import capped_variations

M, N = 4, 1000
TRUTH = np.array([0.4, 0.3, 0.2, 0.1])
TILT = ExponentialTilt(count=10, width=0.6, reference=2000)


@pytest.fixture(scope="module")
def members() -> list[Blend]:
    return family(M)


@pytest.fixture(scope="module")
def mixture(members: list[Blend]) -> Mixture:
    data = draw(members, TRUTH, 2000, np.random.default_rng(31))
    return Mixture(members, fit_weights(log_densities(members, data)))


@pytest.fixture(scope="module")
def setup(mixture: Mixture) -> TiltSetup:
    return _setup(mixture, TILT)


@pytest.fixture(scope="module")
def x(members: list[Blend]) -> Array:
    return draw(members, TRUTH, N, np.random.default_rng(32))


def _setup(mixture: Mixture, tilt: ExponentialTilt, seed: int = 1) -> TiltSetup:
    return tilt.prepare(Run(Seeds(seed)), NullModel.of(mixture), events=N)


def _fits(setup: TiltSetup, x: Array) -> TiltFits:
    return setup.observe(x, setup.null.log_densities(x))


def _profile(setup: TiltSetup, x: Array, name: str, centre: Array | None = None) -> Profile:
    middle = np.zeros(setup.features.rank) if centre is None else centre
    return _fits(setup, x).profile(HYPOTHESES[name], middle)


def test_features_are_relative_variations_and_whitened_bumps(
    setup: TiltSetup, members: list[Blend], x: Array
) -> None:
    logf = log_densities(members, x)
    rows, capped = setup.features.at(x, logf)
    density = np.exp(logf)
    exact = (density @ setup.null.variations) / (density @ setup.null.weights)[:, None]
    short = np.linalg.norm(exact, axis=1) <= setup.features.cap
    rank = setup.features.rank
    np.testing.assert_allclose(rows[short, :rank], exact[short], rtol=1e-10, atol=1e-12)
    assert capped == (~short).sum() < N / 10
    bumps = setup.reference[:, rank:]
    np.testing.assert_allclose(bumps.mean(axis=0), 0.0, atol=1e-10)
    np.testing.assert_allclose(np.cov(bumps.T, bias=True), np.eye(setup.rank), atol=1e-8)


def test_variations_are_held_where_the_density_is_not_known() -> None:
    # Member densities (1, 1), (1e-3, 1), (0, 1): with weights (1.5, -0.5) the
    # mixture is positive, negative and negative there.
    with np.errstate(divide="ignore"):
        logf = np.log(np.array([[1.0, 1.0], [1e-3, 1.0], [0.0, 1.0]]))
    weights, variations = np.array([1.5, -0.5]), np.array([[0.1], [-0.1]])
    s, capped = capped_variations(logf, weights, variations, cap=2.0)
    np.testing.assert_allclose(s[:, 0], [0.0, -2.0, -2.0])
    assert capped == 2
    with pytest.raises(SupportError, match="every member"):
        capped_variations(np.full((1, 2), -np.inf), weights, variations, cap=2.0)


@pytest.mark.parametrize(("name", "shift"), [("ensemble", 2.0), ("ensemble+uncertainty", 1.0)])
def test_scipy_finds_the_same_statistic(
    setup: TiltSetup, x: Array, name: str, shift: float
) -> None:
    rank = setup.features.rank
    centre = np.full(rank, shift)
    found = _profile(setup, x, name, centre)
    data = setup.features.at(x, setup.null.log_densities(x))[0]

    def objective(theta: Array, bumps: bool) -> float:
        eta = theta[:rank] if name.endswith("uncertainty") else centre
        b = theta[rank:] if bumps else np.zeros(setup.rank)
        logits = setup.reference @ np.concatenate([eta, b])
        log_z = np.logaddexp.reduce(logits) - math.log(logits.size)
        fit = (data @ np.concatenate([eta, b])).sum() - len(data) * log_z
        return float(0.5 * ((eta - centre) ** 2).sum() + 0.5 * setup.ridge * b @ b - fit)

    size = rank + setup.rank
    fits = [
        optimize.minimize(objective, np.zeros(size), args=(k,), method="BFGS")
        for k in (False, True)
    ]
    # Gradients of BFGS are differences: 1e-5 in each of 13 parameters, curvature 1 or more.
    assert found.statistic == pytest.approx(2 * (fits[0].fun - fits[1].fun), abs=1e-4)
    assert found.gap < 1e-8


@pytest.mark.parametrize("name", list(HYPOTHESES))
def test_the_statistic_is_never_negative(
    setup: TiltSetup, members: list[Blend], rng: np.random.Generator, name: str
) -> None:
    for n in (1, 20, 200):
        for _ in range(20):
            found = _profile(setup, draw(members, TRUTH, n, rng), name)
            assert found.statistic >= 0.0
            assert found.gap < 1e-7


def test_profiling_the_weights_leaves_less_for_the_bumps(mixture: Mixture, x: Array) -> None:
    # On average: the few bumps of one placement may deviate along what the weights cannot do.
    setups = [_setup(mixture, TILT, seed) for seed in range(12)]
    frozen, profiled = (
        np.mean([_profile(setup, x * 1.1, name).statistic for setup in setups])
        for name in ("ensemble", "ensemble+uncertainty")
    )
    assert profiled < frozen


def test_the_fitted_densities_have_mass_one(setup: TiltSetup, x: Array) -> None:
    fitted = _profile(setup, x * 1.1, "ensemble+uncertainty")
    n = 100_000
    z = setup.null.sample(np.zeros(setup.features.rank), n, np.random.default_rng(33))
    for density in setup.observe(z.x, z.log_densities).relative(fitted):
        # The sample's error, and that of Z, which has its own R events.
        error = density.std() * math.sqrt(1 / n + 1 / len(setup.reference))
        assert abs(density.mean() - 1.0) < 5 * error
        assert error < 0.02


def test_the_statistic_is_that_of_the_fitted_densities(setup: TiltSetup, x: Array) -> None:
    fits = _fits(setup, x * 1.1)
    found = fits.profile(HYPOTHESES["ensemble+uncertainty"], np.zeros(setup.features.rank))
    null, alternative = fits.relative(found)
    penalty = found.alternative @ found.alternative - found.null @ found.null
    penalty += setup.ridge * found.amplitudes @ found.amplitudes
    assert found.statistic > 10.0
    expected = 2.0 * np.log(alternative / null).sum() - penalty
    assert found.statistic == pytest.approx(expected, abs=1e-8)


def test_coefficients_are_those_of_the_bumps(setup: TiltSetup, x: Array) -> None:
    found = _profile(setup, x * 1.1, "ensemble")
    null, alternative = _fits(setup, x).relative(found)
    change = np.log(alternative / null) - setup.kernels.bumps(x) @ setup.coefficients(found)
    np.testing.assert_allclose(change, change[0], atol=1e-10)


def test_a_far_out_event_is_one_event(setup: TiltSetup, x: Array) -> None:
    # The alternative is bounded: it does not see how far away an event is.
    far = [np.vstack([x, [[place, place]]]) for place in (60.0, 1e5)]
    near = _profile(setup, x, "ensemble").statistic
    found = [_profile(setup, y, "ensemble").statistic for y in far]
    assert found[0] == pytest.approx(found[1], abs=1e-6)
    assert abs(found[0] - near) < 5.0


def test_absurd_data_have_a_statistic(setup: TiltSetup) -> None:
    same = np.tile([[3.0, -3.0]], (N, 1))
    for name in HYPOTHESES:
        found = _profile(setup, same, name)
        assert found.statistic > N
        assert math.isfinite(found.statistic)


def test_other_sizes_than_planned_are_certified_too(setup: TiltSetup, x: Array) -> None:
    for n in (10, 5 * N):
        found = _profile(setup, np.tile(x, (5, 1))[:n], "ensemble+uncertainty")
        assert found.gap < 1e-7


@pytest.mark.parametrize("count", [1, 2])
def test_few_bumps(mixture: Mixture, x: Array, count: int) -> None:
    setup = _setup(mixture, ExponentialTilt(count=count, width=0.6, reference=5000))
    assert setup.rank == count
    assert _profile(setup, x, "ensemble+uncertainty").statistic >= 0.0


def test_without_bumps_there_is_no_alternative(mixture: Mixture, x: Array) -> None:
    setup = _setup(mixture, ExponentialTilt(count=0, reference=5000))
    for name in HYPOTHESES:
        assert _profile(setup, x, name).statistic == 0.0


def test_empty_bumps_are_left_out(mixture: Mixture) -> None:
    narrow = _setup(mixture, ExponentialTilt(count=10, width=(1.0, 1e-3), reference=1000))
    assert narrow.rank == 5
    assert np.count_nonzero(narrow.features.directions.any(axis=1)) == 5
    with pytest.raises(InputError, match="none of which holds"):
        _setup(mixture, ExponentialTilt(count=10, width=1e-3, reference=1000))


def test_automatic_widths_follow_the_distances(mixture: Mixture) -> None:
    widths = _setup(mixture, ExponentialTilt(count=4, reference=5000)).kernels.widths
    assert widths[:2].tolist() == widths[2:].tolist()
    # Normal scores of two features: 0.05 % of the distances are below 2 sqrt(0.0005),
    # and their median is 2 sqrt(log 2), were the features independent.
    assert widths[0] == 0.3
    assert widths[1] == pytest.approx(0.7 * 2 * math.sqrt(math.log(2)), rel=0.1)


def test_the_reference_grows_with_the_sample_and_tells_setups_apart(mixture: Mixture) -> None:
    default = ExponentialTilt(count=2, width=0.6)
    sizes = [
        len(default.prepare(Run(Seeds(1)), NullModel.of(mixture), events=n).reference)
        for n in (10, 2000)
    ]
    assert sizes == [10_000, 20_000]
    one, same, other = (_setup(mixture, TILT, seed).identity() for seed in (1, 1, 2))
    assert one == same != other


def test_placements_share_their_fits_of_the_null(mixture: Mixture, x: Array) -> None:
    null = NullModel.of(mixture)
    three = TILT.prepare_several(Run(Seeds(1)), null, events=N, placements=3)
    free, centre = HYPOTHESES["ensemble+uncertainty"], np.full(null.variations.shape[1], 0.1)
    alone = [_profile(each, x, free.name, centre) for each in three]
    fits = observed(three, x, null.log_densities(x))
    together = [each.profile(free, centre) for each in fits]
    for one, other in zip(alone, together, strict=True):
        assert other.statistic == pytest.approx(one.statistic, rel=1e-9)
        np.testing.assert_allclose(other.null, one.null, rtol=1e-9)
    first = fits[0]
    assert isinstance(first, TiltFits)
    assert all(isinstance(each, TiltFits) and each.nulls is first.nulls for each in fits)
    assert len(first.nulls) == 1
    # Another reference has another null.
    elsewhere = _setup(mixture, TILT, seed=2)
    assert elsewhere.observe_beside(first) is None
    kernels = GaussianKernels(count=4, reference=200).prepare(Run(Seeds(1)), null, events=N)
    assert elsewhere.observe_beside(kernels.observe(x, null.log_densities(x))) is None


@pytest.mark.parametrize("null", [Predictive(), FluctuatedCentre()])
def test_a_wrong_model_is_rejected_and_a_right_one_is_not(
    mixture: Mixture, x: Array, null: Predictive
) -> None:
    right, wrong = (
        goodness_of_fit(Run(Seeds(1)), mixture, Events(y), alternative=TILT, null=null, toys=19)
        for y in (x, x + [0.4, 0.0])
    )
    assert wrong.p_value.value == 1 / 20 < right.p_value.value
    assert min(right.toys.min(), wrong.toys.min()) >= 0.0


def test_it_is_combined_with_kernels_on_the_same_toys(mixture: Mixture, x: Array) -> None:
    both = (GaussianKernels(count=8, width=0.7, reference=200), TILT)
    run = Run(Seeds(3))
    found = goodness_of_fit(run, mixture, Events(x), alternative=both, toys=10)
    alone = goodness_of_fit(run, mixture, Events(x), alternative=TILT, toys=10)
    assert found.parts[1].alternative == "exponential tilt along 10 bumps, width 0.6"
    assert found.parts[1].toys.tolist() == alone.parts[0].toys.tolist()
    assert found.parts[1].statistic == alone.parts[0].statistic


@pytest.mark.parametrize(
    "settings",
    [
        {"count": -1},
        {"width": 0.0},
        {"width": ()},
        {"reference": 999},
        {"ridge": -1.0},
        {"truncation": 0.0},
        {"cap": 0.0},
    ],
)
def test_bad_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(InputError, match="ExponentialTilt"):
        ExponentialTilt(**settings)  # type: ignore[arg-type]
