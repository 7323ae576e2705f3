"""Variance components: the analysis of variance when balanced, unbiased when not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from statistical import assert_within
from verisimile.checks.precision_recall.variance import VarianceParts, variance_parts
from verisimile.core.arrays import Array
from verisimile.core.errors import InputError
from verisimile.core.result import load, save

SD = {"initialisation": 1.0, "training": 0.7, "generated": 0.5, "reference": 0.3, "rest": 0.2}
NESTED = {"generated": ["initialisation", "training"]}


def design(*, drop: float = 0.0) -> dict[str, list[int]]:
    """Return initialisation x training data, two samples of each, x reference, some missing."""
    grid = np.stack(np.meshgrid(range(4), range(3), range(2), range(3), indexing="ij"))
    rows = grid.reshape(4, -1)
    rows = rows[:, np.random.default_rng(1).random(rows.shape[1]) >= drop]
    names = ("initialisation", "training", "generated", "reference")
    return {name: row.tolist() for name, row in zip(names, rows, strict=True)}


def drawn(factors: dict[str, list[int]], rng: np.random.Generator) -> Array:
    y = rng.normal(size=len(factors["training"])) * SD["rest"]
    for name, labels in factors.items():
        place = np.array(labels)
        if name in NESTED:
            for outer in NESTED[name]:
                place = 10 * place + np.array(factors[outer])
        y = y + SD[name] * rng.normal(size=1000)[place]
    return np.asarray(y)


@pytest.mark.parametrize("drop", [0.0, 0.3])
def test_parts_are_unbiased_and_errors_right(drop: float) -> None:
    factors, rng, count = design(drop=drop), np.random.default_rng(2), 300
    found = [variance_parts(drawn(factors, rng), factors, nested=NESTED) for _ in range(count)]
    for name, sd in SD.items():
        values = np.array([each.parts[name].value for each in found])
        assert_within(values.mean(), sd**2, values.std(ddof=1) / np.sqrt(count))
        stated = np.sqrt(np.mean([each.parts[name].error ** 2 for each in found]))
        assert 0.7 < stated / values.std(ddof=1) < 1.6
    total = np.array([each.total.value for each in found])
    assert_within(
        total.mean(), sum(sd**2 for sd in SD.values()), total.std(ddof=1) / np.sqrt(count)
    )


def test_forgotten_nesting_is_wrong() -> None:
    # The twin calls sample 1 of all networks one sample.
    factors, rng, count = design(), np.random.default_rng(2), 300
    values = np.array(
        [
            variance_parts(drawn(factors, rng), factors).parts["generated"].value
            for _ in range(count)
        ]
    )
    with pytest.raises(AssertionError):
        assert_within(values.mean(), SD["generated"] ** 2, values.std(ddof=1) / np.sqrt(count))


def test_balanced_one_way_is_the_analysis_of_variance() -> None:
    y = np.random.default_rng(1).normal(size=(5, 4))
    found = variance_parts(y.ravel(), {"network": np.repeat(range(5), 4).tolist()})
    within = y.var(axis=1, ddof=1).mean()
    between = y.mean(axis=1).var(ddof=1) - within / 4
    assert found.parts["rest"].value == pytest.approx(within)
    assert found.parts["network"].value == pytest.approx(between)
    assert found.levels == {"network": 5}


def test_balanced_two_way_is_the_analysis_of_variance() -> None:
    y = np.random.default_rng(1).normal(size=(4, 5))
    rows, columns = (index.ravel().tolist() for index in np.indices((4, 5)))
    found = variance_parts(y.ravel(), {"a": rows, "b": columns})
    a, b = y.mean(axis=1), y.mean(axis=0)
    rest = ((y - a[:, None] - b + y.mean()) ** 2).sum() / 12
    assert found.parts["rest"].value == pytest.approx(rest)
    assert found.parts["a"].value == pytest.approx(a.var(ddof=1) - rest / 5)
    assert found.parts["b"].value == pytest.approx(b.var(ddof=1) - rest / 4)


def test_shares_and_disk(tmp_path: Path) -> None:
    found = variance_parts(drawn(design(), np.random.default_rng(5)), design(), nested=NESTED)
    assert sum(found.share(name) for name in found.parts) == pytest.approx(1.0)
    with pytest.raises(InputError, match="factor"):
        found.share("weather")
    again = load(save(found, tmp_path / "parts"))
    assert isinstance(again, VarianceParts)
    assert again == found


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ({}, "one or more"),
        ({"a": [0, 0, 0, 0]}, "two levels"),
        ({"a": [0, 1]}, "4 labels"),
        ({"a": [0, 1, 2, 3]}, "cannot tell apart"),
        ({"a": [0, 0, 1, 1], "b": ["x", "x", "y", "y"]}, "cannot tell apart"),
        ({"rest": [0, 0, 1, 1]}, "'rest'"),
    ],
)
def test_refusals(factors: dict[str, list[int]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        variance_parts([1.0, 2.0, 3.0, 4.0], factors)


def test_nesting_needs_known_factors() -> None:
    with pytest.raises(InputError, match="nested"):
        variance_parts([1.0, 2.0, 3.0], {"a": [0, 0, 1]}, nested={"a": ["b"]})
