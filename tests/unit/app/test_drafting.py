"""What a look at a sample guesses: roles, kinds, edges, and how many columns are independent."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from verisimile.app.drafting import guess_column, guess_sample, hard_edge, independent_columns
from verisimile.core.arrays import Array
from verisimile.data.feature import Feature

N = 4000


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("m", rng().normal(size=N), "continuous"),
        ("phi", rng().uniform(-math.pi, math.pi, N), "periodic"),
        ("dphi_mu_met", rng().uniform(0, 2 * math.pi, N), "periodic"),
        ("phi", rng().uniform(-1.0, 1.0, N), "continuous"),  # an angle that does not come round
        ("graphic", rng().uniform(-math.pi, math.pi, N), "continuous"),
        ("n_jets", rng().poisson(2.0, N).astype(float), "discrete"),
        ("ht", np.where(rng().random(N) < 0.3, 0.0, rng().exponential(size=N)), "spike"),
        ("one", np.ones(N), "constant"),
    ],
)
def test_kinds(name: str, values: Array, kind: str) -> None:
    assert guess_column(Feature(name), values).kind == kind


def test_a_period_holds_values_that_single_precision_has_rounded_up() -> None:
    values = np.append(rng().uniform(-math.pi, math.pi, N), float(np.float32(math.pi)))
    found = guess_column(Feature("phi"), values)
    assert found.low <= values.min()
    assert found.high >= values.max() > math.pi


def test_hard_edges_are_found_and_round() -> None:
    peak = rng().normal(91.0, 8.0, 40_000)
    cut = peak[(peak > 80.0) & (peak < 99.0)]
    found = guess_column(Feature("m"), cut)
    assert (found.low, found.high) == (80.0, 99.0)
    # In single precision, and with far fewer events at the edge than in the middle.
    rare = np.concatenate([rng().uniform(60.0, 120.0, 3000), rng().normal(91.0, 2.0, 40_000)])
    assert hard_edge(rare.astype(np.float32).astype(np.float64)) == 60.0


def test_tails_have_no_edge_but_zero_may_be_one() -> None:
    assert hard_edge(rng().normal(size=20_000)) == -math.inf
    assert hard_edge(-rng().exponential(size=20_000)) == -math.inf
    assert hard_edge(rng().rayleigh(size=20_000)) == 0.0
    assert hard_edge(rng().uniform(size=100)) == -math.inf  # too few to tell


def test_an_edge_is_never_inside_of_the_values() -> None:
    for seed in range(20):
        values = np.random.default_rng(seed).uniform(-1.7, 3.3, 2000)
        assert hard_edge(values) <= values.min()
        assert -hard_edge(-values) >= values.max()


def test_functions_of_other_columns_are_no_further_dimensions() -> None:
    x = rng().normal(size=(N, 4))
    mixed = x @ np.linalg.cholesky(0.8 + 0.2 * np.eye(4)).T
    four = (0, 1, 2, 3)
    assert independent_columns(mixed) == four
    assert independent_columns(np.column_stack([np.exp(mixed), np.hypot(x[:, 0], x[:, 1])])) == four
    assert independent_columns(np.column_stack([x, x.sum(axis=1)])) == four
    assert independent_columns(x[:, :1]) == (0,)


def test_what_comes_after_a_function_of_others_may_be_independent() -> None:
    x = rng().normal(size=(N, 4))
    angle = np.arctan2(x[:, 0], x[:, 1])
    radius = np.hypot(x[:, 0], x[:, 1])
    columns = np.column_stack([x[:, :2], angle, radius, x[:, 2:]])
    assert independent_columns(columns) == (0, 1, 4, 5)


def test_roles_by_names(tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    columns = {
        "event": np.arange(600.0),
        "pt": rng().exponential(20.0, 600),
        "genWeight": rng().normal(1.0, 1.0, 600),
        "isSignal": np.ones(600),
        "eta": rng().normal(size=600),
    }
    rows = zip(*(map(str, each) for each in columns.values()), strict=True)
    lines = [",".join(columns), *(",".join(row) for row in rows)]
    lines[5] = lines[5].rsplit(",", 1)[0] + ","  # no eta
    file.write_text("\n".join(lines))
    found = guess_sample(str(file))
    assert [each.name for each in found.columns] == ["pt", "eta"]
    assert (found.weights, found.signed) == ("genWeight", True)
    assert set(found.set_aside) == {"event", "isSignal"}
    assert (found.rows, found.dropped) == (600, 1)
    assert found.independent == ("pt", "eta")
