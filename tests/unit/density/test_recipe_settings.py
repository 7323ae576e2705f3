"""Settings that make no sense are refused by every recipe, by name."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from trained_generators import TRAINERS
from verisimile.core.errors import InputError
from verisimile.density.training import require_positive_settings


@dataclass(frozen=True)
class Recipe:
    size: int = 3
    rate: float = 0.1
    marginal_bins: int = 0
    residual: bool = False
    kind: str = "a"


def test_sensible_settings_pass() -> None:
    require_positive_settings(Recipe())
    require_positive_settings(Recipe(marginal_bins=2))


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (Recipe(size=0), "size=0"),
        (Recipe(rate=float("nan")), "rate=nan"),
        (Recipe(rate=np.float32(-1)), "rate="),  # type: ignore[arg-type]
        (Recipe(marginal_bins=1), "marginal_bins=1"),
        (Recipe(size=-1, marginal_bins=-1), "size=-1, marginal_bins=-1"),
    ],
)
def test_others_are_named(wrong: Recipe, named: str) -> None:
    with pytest.raises(InputError, match=named):
        require_positive_settings(wrong)


@pytest.mark.parametrize(
    "name", [name for name in TRAINERS if hasattr(TRAINERS[name], "learning_rate")]
)
def test_every_recipe_looks_at_its_settings(name: str) -> None:
    with pytest.raises(InputError, match="learning_rate"):
        replace(TRAINERS[name], learning_rate=0.0)  # type: ignore[type-var]
