"""Simulation-based calibration: ranks by hand, size, power, what it is blind to."""

from __future__ import annotations

import numpy as np
import pytest

from posterior_study import Posterior, conjugate
from statistical import assert_rate, assert_uniform
from verisimile.checks.posterior.sbc import ranks_among, sbc
from verisimile.checks.posterior.simulations import posterior_draws
from verisimile.checks.posterior.uniformity import UniformTest
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import from_dict, to_dict
from verisimile.core.run import Run

FAST = UniformTest(toys=39, grid=10)
EXPERIMENTS = 500


def _product(theta: Array, x: Array) -> Array:
    return np.asarray((theta * x).sum(axis=1))


def test_ranks_and_ties(rng: np.random.Generator) -> None:
    values = np.array([[1.0, 2.0, 3.0], [2.0, 2.0, 5.0]])
    ranks, equal = ranks_among(values, np.array([2.5, 2.0]), rng)
    assert ranks[0] == 2
    assert equal.tolist() == [0, 2]
    many, _ = ranks_among(np.tile(values[1], (3000, 1)), np.full(3000, 2.0), rng)
    for rank in (0, 1, 2):
        assert_rate(int((many == rank).sum()), 3000, 1 / 3)


def test_size_at_few_draws_with_ties(rng: np.random.Generator) -> None:
    p = []
    for k in range(EXPERIMENTS):
        draws, truths, _ = conjugate(40, 9, rng)
        p.append(sbc(Run(Seeds(k)), draws.round(), truths.round(), test=FAST).p_value.value)
    # Holm over two parameters that are independent here: 1 - (1 - 1/40)^2 at 5 %.
    assert_rate(int((np.array(p) <= 0.05).sum()), EXPERIMENTS, 1 - (1 - 0.025) ** 2)


def test_without_random_ties_the_size_is_wrong(rng: np.random.Generator) -> None:
    u = []
    for _ in range(20):
        draws, truths, _ = conjugate(100, 9, rng)
        below = (draws.round() < truths.round()[:, None]).sum(axis=1)
        u.append((below + rng.random(below.shape)).ravel() / 10)
    with pytest.raises(AssertionError, match="not uniform"):
        assert_uniform(np.concatenate(u))


@pytest.mark.parametrize(("width", "least"), [(0.8, 0.8), (1.25, 0.8)])
def test_power_against_a_wrong_width(width: float, least: float, rng: np.random.Generator) -> None:
    rejected = 0
    for k in range(30):
        draws, truths, _ = conjugate(500, 200, rng, width=width)
        test = UniformTest(toys=99, grid=10)
        rejected += sbc(Run(Seeds(k)), draws, truths, test=test).p_value.value <= 0.05
    assert rejected / 30 >= least


def test_the_prior_passes_unless_a_quantity_depends_on_x(rng: np.random.Generator) -> None:
    parameters, product = 0, 0
    for k in range(60):
        draws, truths, contexts = conjugate(200, 30, rng, prior=True)
        found = sbc(
            Run(Seeds(k)),
            draws,
            truths,
            contexts=contexts,
            quantities={"theta x": _product},
            test=FAST,
        )
        parameters += found.quantities[0].p_value.value <= 0.05
        product += found.quantities[2].p_value.value <= 0.05
        assert [one.name for one in found.quantities] == ["theta0", "theta1", "theta x"]
    assert_rate(parameters, 60, 0.05)
    assert product == 60


def test_log_density_of_a_model_is_a_quantity(rng: np.random.Generator) -> None:
    model, run = Posterior(width=0.7), Run(Seeds(3))
    _, truths, contexts = conjugate(300, 1, rng)
    draws = posterior_draws(run, model, contexts, 50)
    assert draws.shape == (300, 50, 2)
    assert draws.std() == pytest.approx(np.sqrt(0.8 + 0.49 * 0.2), rel=0.1)
    found = sbc(
        run, draws, truths, contexts=contexts, quantities={"log q": model.log_prob}, test=FAST
    )
    assert found.quantities[2].counts[0] > 3 * found.quantities[2].counts[-1]
    assert found.adjusted[2] == pytest.approx(3 / 40)
    assert "cannot give" in found.warnings[0]


def test_repeats_itself_and_comes_back(rng: np.random.Generator) -> None:
    draws, truths, _ = conjugate(30, 9, rng)
    one, two = (sbc(Run(Seeds(1)), draws, truths, names=("a", "b"), test=FAST) for _ in "12")
    assert to_dict(one) == to_dict(two) == to_dict(from_dict(to_dict(one)))
    assert "Sbc(p=" in repr(one)
    ties = sbc(Run(Seeds(1)), draws.round(), truths.round(), test=FAST)
    assert "tie with a draw" in ties.warnings[0]


def test_infinite_values_have_ranks_and_nan_has_none(rng: np.random.Generator) -> None:
    draws, truths, contexts = conjugate(30, 9, rng)
    run = Run(Seeds(1))

    def outside(theta: Array, x: Array) -> Array:
        return np.where(theta[:, 0] > 0, -np.inf, theta[:, 0])

    found = sbc(run, draws, truths, quantities={"q": outside}, test=FAST)
    assert np.isfinite(found.adjusted).all()

    def undefined(theta: Array, x: Array) -> Array:
        return np.full(len(theta), np.nan)

    with pytest.raises(InputError, match="NaN"):
        sbc(run, draws, truths, quantities={"q": undefined}, test=FAST)
    with pytest.raises(InputError, match="names"):
        sbc(run, draws, truths, names=("a",), test=FAST)
    with pytest.raises(InputError, match="names"):
        sbc(run, draws, truths, names=("a", "a"), test=FAST)
    with pytest.raises(InputError, match="draws"):
        sbc(run, draws[:, 0], truths, test=FAST)
    with pytest.raises(InputError, match="draws"):
        sbc(run, draws[:20], truths, test=FAST)
    with pytest.raises(InputError, match="contexts"):
        sbc(run, draws, truths, contexts=contexts[:20], test=FAST)
    with pytest.raises(InputError, match="two or more"):
        sbc(run, draws[:1], truths[:1], test=FAST)
    with pytest.raises(InputError, match="count"):
        posterior_draws(run, Posterior(), contexts, 0)
