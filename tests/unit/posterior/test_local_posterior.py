"""Local classifier test: size, where a local bias is found, the twin that refits no null."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from posterior_study import Posterior, conjugate
from statistical import assert_rate
from verisimile.checks.posterior.local import LocalTest, PosteriorPoints, local_posterior_test
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.result import from_dict, to_dict
from verisimile.core.run import Run
from verisimile.samples.learners import Learner, polynomial

WHERE = np.array([[-1.5], [0.0], [1.5]])


def _bias(contexts: Array) -> Array:
    return np.maximum(contexts, 0.0)


def _found(
    seed: int,
    rng: np.random.Generator,
    *,
    n: int,
    bias: float,
    permutations: int,
    learner: Learner | None = None,
) -> LocalTest:
    draws, truths, contexts = conjugate(n, 1, rng, d=1)
    there = Posterior(d=1).sample(np.repeat(WHERE, 100, axis=0), rng).reshape(3, 100, 1)
    return local_posterior_test(
        Run(Seeds(seed)),
        draws + bias * _bias(contexts)[:, None],
        truths,
        contexts,
        at=PosteriorPoints(WHERE, there + bias * _bias(WHERE)[:, None]),
        permutations=permutations,
        learner=learner,
    )


@pytest.mark.calibration
def test_size(rng: np.random.Generator) -> None:
    found = [_found(k, rng, n=30, bias=0.0, permutations=3) for k in range(100)]
    assert_rate(sum(one.p_value.value <= 0.25 for one in found), 100, 0.25)
    # Without the one that is added, four permutations would call 1 in 4 impossible.
    zero = sum(bool((one.observed > one.null.max(axis=0)).any()) for one in found)
    with pytest.raises(AssertionError, match="expected rate"):
        assert_rate(zero, 100, 0.01)


def test_a_local_bias_is_found_where_it_is(rng: np.random.Generator) -> None:
    found = _found(1, rng, n=1000, bias=0.4, permutations=59)
    assert found.p_value.value == pytest.approx(1 / 60)
    assert found.observed[2] > 5 * found.observed[0]
    assert found.adjusted[2] <= 0.05
    assert (found.adjusted >= [p.value for p in found.points] - np.array(0.02)).all()
    assert found.adjusted.min() == found.p_value.value
    assert found.unfinished == 0
    assert to_dict(from_dict(to_dict(found))) == to_dict(found)
    assert "LocalTest(p=" in repr(found)


def test_products_of_three_are_more_local_than_of_two(rng: np.random.Generator) -> None:
    def leak_and_signal(learner: Learner) -> Array:
        found = [
            _found(k, rng, n=500, bias=0.4, permutations=1, learner=learner) for k in range(10)
        ]
        return np.asarray(np.mean([one.observed[1:] for one in found], axis=0))

    leak = [leak_and_signal(polynomial(degree=degree)) for degree in (2, 3)]
    assert leak[0][0] > 1.5 * leak[1][0]
    assert leak[0][1] < leak[1][1]


def test_same_for_any_chunking_and_another_learner(rng: np.random.Generator) -> None:
    draws, truths, contexts = conjugate(60, 1, rng)
    at = PosteriorPoints(contexts[:2], np.repeat(draws[:2], 5, axis=1))
    few, many = (
        local_posterior_test(
            Run(Seeds(2)),
            draws,
            truths,
            contexts,
            at=at,
            learner=LogisticRegression(),
            permutations=count,
        )
        for count in (5, 25)
    )
    assert few.null == pytest.approx(many.null[:5])


def test_fits_that_do_not_converge_are_counted(rng: np.random.Generator) -> None:
    draws, truths, contexts = conjugate(40, 1, rng)
    learner = MLPClassifier(hidden_layer_sizes=(2,), max_iter=1)
    at = PosteriorPoints(contexts[:1], draws[:1])
    found = local_posterior_test(
        Run(Seeds(1)), draws, truths, contexts, at=at, learner=learner, permutations=4
    )
    assert found.unfinished == 5


def test_wrong_arguments(rng: np.random.Generator) -> None:
    draws, truths, contexts = conjugate(20, 2, rng)
    at, run = PosteriorPoints(contexts[:1], draws[:1]), Run(Seeds(1))
    with pytest.raises(InputError, match="permutations"):
        local_posterior_test(run, draws, truths, contexts, at=at, permutations=0)
    with pytest.raises(InputError, match="at.draws"):
        local_posterior_test(
            run, draws, truths, contexts, at=PosteriorPoints(contexts[:2], draws[:1])
        )
    with pytest.raises(InputError, match="polynomial"):
        polynomial(degree=0)
    with pytest.raises(InputError, match="learner"):
        local_posterior_test(run, draws, truths, contexts, at=at, learner=object())  # type: ignore[arg-type]
