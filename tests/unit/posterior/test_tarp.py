"""Expected coverage: size, power, what references must and must not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from conditional_analytic import ConditionalBlend
from posterior_study import conjugate
from statistical import assert_rate, assert_uniform, assert_within
from verisimile.checks.posterior.simulations import posterior_draws
from verisimile.checks.posterior.tarp import (
    FixedPoints,
    Neighbours,
    References,
    ShiftedCentres,
    Tarp,
    UniformBox,
    tarp,
)
from verisimile.checks.posterior.uniformity import UniformTest
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import from_dict, to_dict
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.density.flows.trainer import SplineFlowTrainer

FAST = UniformTest(statistic="kolmogorov", toys=19, grid=10)


def _rejections(
    trials: int,
    rng: np.random.Generator,
    references: References,
    *,
    n: int = 500,
    width: float = 1.0,
    prior: bool = False,
) -> int:
    out = 0
    for k in range(trials):
        draws, truths, contexts = conjugate(n, 200, rng, width=width, prior=prior)
        found = tarp(Run(Seeds(k)), draws, truths, contexts, references=references, test=FAST)
        out += found.p_value.value <= 0.05
    return out


@pytest.mark.parametrize(
    "references", [ShiftedCentres(), ShiftedCentres(count=1), UniformBox()], ids=repr
)
def test_size(references: References, rng: np.random.Generator) -> None:
    p = []
    for k in range(500):
        draws, truths, contexts = conjugate(30, 7, rng)
        found = tarp(Run(Seeds(k)), draws, truths, contexts, references=references, test=FAST)
        p.append(found.p_value.value)
    assert_uniform(p, steps=20 if len(found.references) > 1 else None, rng=rng)
    assert_rate(int((np.array(p) <= 0.05).sum()), 500, 0.05)


@pytest.mark.parametrize("width", [0.8, 1.25])
def test_power_against_a_wrong_width(width: float, rng: np.random.Generator) -> None:
    assert _rejections(20, rng, ShiftedCentres(), width=width) >= 16


def test_the_prior_fails_with_references_that_depend_on_x(rng: np.random.Generator) -> None:
    _, truths, contexts = conjugate(1000, 1, rng)
    assert _rejections(20, rng, ShiftedCentres(), prior=True) >= 16
    assert _rejections(20, rng, Neighbours(truths, contexts), prior=True, n=200) >= 16


@pytest.mark.parametrize("references", [UniformBox(), ShiftedCentres(shift=0.0, count=1)], ids=repr)
def test_the_prior_passes_without(references: References, rng: np.random.Generator) -> None:
    assert_rate(_rejections(60, rng, references, prior=True, n=200), 60, 0.05)


def test_references_that_depend_on_the_truth_reject_an_exact_posterior(
    rng: np.random.Generator,
) -> None:
    rejected, honest = 0, 0
    for k in range(60):
        draws, truths, contexts = conjugate(100, 20, rng)
        noise = rng.normal(size=(100, 1, 2))
        for centre in (truths, contexts):
            references = FixedPoints(centre[:, None] + noise)
            found = tarp(Run(Seeds(k)), draws, truths, references=references, test=FAST)
            rejected += centre is truths and found.p_value.value <= 0.05
            honest += centre is contexts and found.p_value.value <= 0.05
    assert_rate(honest, 60, 0.05)
    with pytest.raises(AssertionError, match="expected rate"):
        assert_rate(rejected, 60, 0.05)


def test_comparing_grid_values_never_rejects(rng: np.random.Generator) -> None:
    # A two-sample test of the values of the curve against those of the grid is no test of
    # uniformity: its sample size is that of the grid.
    rejected, grid = 0, 0
    for k in range(20):
        draws, truths, contexts = conjugate(500, 200, rng, width=0.8)
        found = tarp(
            Run(Seeds(k)),
            draws,
            truths,
            references=UniformBox(),
            test=UniformTest("kolmogorov", 99),
        )
        one = found.references[0]
        rejected += found.p_value.value <= 0.05
        grid += stats.ks_2samp(one.curve, one.levels).pvalue <= 0.05
    assert grid == 0
    assert rejected >= 14


@pytest.mark.parametrize(("width", "sign"), [(0.8, -1), (1.25, 1)])
def test_excess_tells_narrow_from_wide(width: float, sign: int, rng: np.random.Generator) -> None:
    draws, truths, contexts = conjugate(500, 100, rng, width=width)
    references = ShiftedCentres(count=1)
    found = tarp(Run(Seeds(1)), draws, truths, contexts, references=references, test=FAST)
    assert sign * found.excess.value > 4 * found.excess.error
    one = found.references[0]
    assert (sign * (one.curve - one.levels) > -0.02).all()
    assert not one.inside


def test_excess_of_the_exact_posterior_is_zero(rng: np.random.Generator) -> None:
    draws, truths, contexts = conjugate(4000, 10, rng)
    found = tarp(Run(Seeds(1)), draws, truths, contexts, test=FAST)
    assert_within(found.excess.value, 0.0, found.excess.error)


def test_truths_and_draws_are_treated_alike(rng: np.random.Generator) -> None:
    # One draw for each: exchanging it with the truth turns ranks around.
    draws, truths, contexts = conjugate(2000, 1, rng, width=0.5)
    points = FixedPoints(contexts[:, None])
    one = tarp(Run(Seeds(1)), draws, truths, references=points, test=FAST)
    two = tarp(Run(Seeds(1)), truths[:, None], draws[:, 0], references=points, test=FAST)
    assert one.references[0].curve[4] == pytest.approx(1 - two.references[0].curve[5], abs=0.06)
    assert one.excess.value < 0 < two.excess.value


def test_repeats_itself_and_comes_back(rng: np.random.Generator) -> None:
    draws, truths, contexts = conjugate(30, 9, rng)
    one, two = (tarp(Run(Seeds(1)), draws, truths, contexts, test=FAST) for _ in "12")
    assert to_dict(one) == to_dict(two) == to_dict(from_dict(to_dict(one)))
    assert "ShiftedCentres" in repr(one)
    assert len(one.references) == 4


def test_neighbours_must_be_other_simulations(rng: np.random.Generator) -> None:
    draws, truths, contexts = conjugate(40, 9, rng)
    run = Run(Seeds(1))
    with pytest.raises(InputError, match="also tested"):
        tarp(run, draws, truths, contexts, references=Neighbours(truths, contexts))
    other = Neighbours(truths[20:], contexts[20:], count=3)
    found = tarp(run, draws[:20], truths[:20], contexts[:20], references=other, test=FAST)
    assert len(found.references) == 3
    near = other.points(draws, contexts[20:], rng)
    assert near[:, 0] == pytest.approx(truths[20:])


def test_wrong_arguments(rng: np.random.Generator) -> None:
    draws, truths, contexts = conjugate(20, 9, rng)
    run = Run(Seeds(1))
    with pytest.raises(InputError, match="contexts"):
        tarp(run, draws, truths)
    with pytest.raises(InputError, match="references"):
        tarp(run, draws, truths, references=FixedPoints(truths))
    with pytest.raises(InputError, match="not finite"):
        tarp(run, draws, truths, references=FixedPoints(np.full((20, 1, 2), np.nan)))
    with pytest.raises(InputError, match="statistic"):
        tarp(run, draws, truths, contexts, test=UniformTest(statistic="ecdf"))
    for call in (
        lambda: ShiftedCentres(count=0),
        lambda: ShiftedCentres(shift=-1.0),
        lambda: UniformBox(0),
        lambda: Neighbours(truths, contexts[:3]),
        lambda: Neighbours(truths, contexts, count=21),
    ):
        with pytest.raises(InputError):
            call()


def test_constant_columns_do_no_harm(rng: np.random.Generator) -> None:
    draws, truths, contexts = conjugate(50, 9, rng)
    draws[..., 1], truths[:, 1], contexts[:, 1] = 3.0, 3.0, 1.0
    found = tarp(Run(Seeds(1)), draws, truths, contexts, test=FAST)
    assert 0 < found.p_value.value <= 1


def _events(n: int, rng: np.random.Generator) -> tuple[Array, Array]:
    c = rng.uniform(-1.5, 1.5, size=(n, 1))
    return ConditionalBlend(share=0.0).sample(c, rng), c


def _of_flow(rng: np.random.Generator) -> tuple[Tarp, Tarp]:
    """Test a trained flow, and the same with its draws 30 % narrower about their mean."""
    names = ("x", "c")
    training, validation = (Events(np.hstack(_events(n, rng)), names=names) for n in (3000, 1000))
    trainer = SplineFlowTrainer(layers=2, hidden=16, epochs=8).given("c")
    model = trainer.fit(training, validation, Seeds(4)).model
    truths, contexts = _events(300, rng)
    run = Run(Seeds(5))
    draws = posterior_draws(run, model, contexts, 50)
    mean = draws.mean(axis=1, keepdims=True)
    return (
        tarp(run, draws, truths, contexts),
        tarp(run, mean + 0.7 * (draws - mean), truths, contexts),
    )


def test_a_conditional_flow_end_to_end(rng: np.random.Generator) -> None:
    trained, narrowed = _of_flow(rng)
    assert trained.p_value.value > 1e-3
    assert narrowed.p_value.value <= 1e-3
    assert narrowed.excess.value < trained.excess.value
