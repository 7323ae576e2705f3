"""Columns in another order are seen from the values, and told by name or refused."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from verisimile.checks.precision_recall.curve import precision_recall
from verisimile.checks.precision_recall.learned_scores import LinearScore
from verisimile.checks.twosample.permutation import two_sample
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.core.run import Run
from verisimile.data.events import Events
from verisimile.samples.columns import comparable, ks_distance, permuted, swapped_columns

LAWS = (stats.norm(91, 3), stats.expon(0, 20), stats.uniform(-3, 6), stats.norm(0, 1))


def draws(seed: int, n: int = 2000, d: int = 4) -> Array:
    rng = np.random.default_rng(seed)
    return np.column_stack([law.rvs(n, random_state=rng) for law in LAWS[:d]])


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_every_permutation_is_found(order: tuple[int, ...]) -> None:
    found = permuted(Events(draws(1)), Events(draws(2)[:, order]))
    moved = {j for cycle in found for j in cycle}
    assert moved == {j for j in range(4) if order[j] != j}
    # Column j of the other sample holds column order[j]; a cycle closes.
    for cycle in found:
        assert len(cycle) > 1
        for here, there in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
            assert order[there] == here


@pytest.mark.parametrize("n", [300, 1000, 20_000])
def test_samples_of_any_size_are_looked_at(n: int) -> None:
    ours, theirs = draws(3, n), draws(4, n)[:, [1, 0, 2, 3]]
    assert permuted(Events(ours), Events(theirs)) == [(0, 1)]
    assert permuted(Events(ours), Events(draws(4, n))) == []


def test_a_wrong_sample_is_not_called_permuted() -> None:
    ours = draws(1)
    assert permuted(Events(ours), Events(draws(2) + 30.0)) == []
    assert permuted(Events(ours), Events(draws(2) * [1, 2, 0.5, 3])) == []
    # One column like another one, but not the other way round.
    theirs = draws(2)
    theirs[:, 0] = draws(5)[:, 1]
    assert permuted(Events(ours), Events(theirs)) == []
    # Equal laws in two columns: nothing to see, and nothing wrong.
    same = np.random.default_rng(3).normal(size=(2, 500, 2))
    assert permuted(Events(same[0]), Events(same[1][:, ::-1])) == []


def test_equal_laws_are_hardly_ever_called_permuted() -> None:
    rng = np.random.default_rng(6)
    for _ in range(200):
        n, m = rng.integers(100, 600, 2)
        first, second = rng.normal(size=(n, 3)), rng.normal(size=(m, 3))
        assert permuted(Events(first), Events(second + rng.normal(0, 0.3, 3))) == []


def test_weights_count() -> None:
    x, y = draws(7, 4000, 2), draws(8, 4000, 2)[:, ::-1]
    # Without weights the reference is another law, and nothing looks like anything.
    tilt = np.exp(-x[:, 1] / 20.0)
    heavy = stats.expon(0, 10).rvs(4000, random_state=np.random.default_rng(9))
    theirs = np.column_stack([heavy, y[:, 1]])
    assert permuted(Events(x, tilt), Events(theirs)) == [(0, 1)]
    assert permuted(Events(x), Events(theirs)) == []


def test_many_columns_are_cheap() -> None:
    rng = np.random.default_rng(10)
    places = np.arange(200.0)
    ours, theirs = (rng.normal(size=(2000, 200)) + 10.0 * places for _ in range(2))
    order = rng.permutation(200)
    found = permuted(Events(ours), Events(theirs[:, order]))
    assert {j for cycle in found for j in cycle} == {int(j) for j in places if order[int(j)] != j}


def test_named_columns_are_told() -> None:
    ours, theirs = draws(1, d=3), draws(2, d=3)[:, [2, 0, 1]]
    names = ("m", "pt", "eta")
    (found,) = swapped_columns(Events(ours, names=names), Events(theirs, names=names))
    assert "look exchanged in the generated sample" in found
    assert all(repr(name) in found for name in names)
    reference, generated = comparable(
        reference=pd.DataFrame(ours, columns=names), generated=pd.DataFrame(theirs, columns=names)
    )
    assert reference.names == generated.names == names


@pytest.mark.parametrize("form", [np.asarray, torch.tensor, pd.DataFrame, np.ndarray.tolist])
def test_columns_of_arrays_that_look_permuted_are_refused(form: object) -> None:
    ours, theirs = draws(1, d=3), draws(2, d=3)
    assert callable(form)
    assert len(comparable(holdout=form(ours), generated=form(theirs))) == 2
    with pytest.raises(
        InputError,
        match=r"^generated: got columns x?0, x?1 in another order than "
        r"in holdout.*vs.Events\(x, names=\[\.\.\.\]\)",
    ):
        comparable(holdout=form(ours), generated=form(theirs[:, [1, 0, 2]]))


def test_tests_refuse_before_they_work(tmp_path: Path) -> None:
    ours, theirs = draws(1, 400, 2), draws(2, 400, 2)[:, ::-1]
    with pytest.raises(InputError, match="generated: got columns x0, x1 in another order"):
        two_sample(Run(Seeds(1)), ours, theirs)
    with pytest.raises(InputError, match="generated: got columns x0, x1 in another order"):
        precision_recall(Run(Seeds(1)), ours, theirs, score=LinearScore())
    frame, path = pd.DataFrame(ours, columns=["m", "pt"]), tmp_path / "generated.parquet"
    pd.DataFrame(theirs, columns=["pt", "m"]).to_parquet(path)
    assert two_sample(Run(Seeds(1)), frame, path, permutations=99).p_value.value > 0.01


def test_kolmogorov_distance_is_that_of_scipy_and_takes_weights() -> None:
    rng = np.random.default_rng(11)
    first, second = rng.normal(size=300), rng.normal(0.3, 1.0, 170).round(1)
    expected = stats.ks_2samp(first, second).statistic
    assert ks_distance(first, second) == pytest.approx(expected, abs=1e-12)
    counts = rng.integers(1, 4, 170)
    weighted = ks_distance(first, second, None, counts.astype(np.float64))
    assert weighted == pytest.approx(ks_distance(first, np.repeat(second, counts)), abs=1e-12)
