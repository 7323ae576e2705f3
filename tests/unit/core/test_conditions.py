from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from verisimile.core.arrays import require_fraction, require_positive
from verisimile.core.errors import InputError, require, require_at_least, require_one_of


def test_what_holds_passes() -> None:
    require(np.True_, "bins", got=1, expected="one")
    require_at_least(1, 1, "toys")
    require_positive(1e-300, "width")
    require_positive([1.0, 2.0], "widths")
    require_fraction([0.1, 0.9], "levels")
    require_one_of("a", ("a", "b"), "letter")


@pytest.mark.parametrize(
    ("fails", "message"),
    [
        (lambda: require(0, "x", got=0, expected="one", remedy="Add."), "x: got 0; .* one. Add."),
        (lambda: require_at_least(1, float("nan"), "toys"), "toys: got nan; expected 1 or more."),
        (lambda: require_at_least(2, 1, "a", what="events"), "expected 2 events or more."),
        (lambda: require_positive(0.0, "width"), "got 0.0; expected a positive number."),
        (lambda: require_positive([1.0, np.inf], "w"), r"got \[1.0, inf\]; .* positive numbers."),
        (lambda: require_fraction([0.5, np.nan], "p"), r"expected numbers in \(0, 1\)."),
        (lambda: require_one_of("c", ("a", "b"), "letter"), r"got 'c'; expected one of \['a', 'b'"),
    ],
)
def test_what_fails_is_named(fails: Callable[[], None], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fails()
