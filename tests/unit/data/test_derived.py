"""Derived columns and conditions from expressions and from a user's file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from verisimile.core.errors import InputError
from verisimile.data.derived import derived, functions_of, select
from verisimile.data.events import Events
from verisimile.data.expressions import Condition, Expression

EVENTS = Events([[3.0, 4.0], [6.0, 8.0], [1.0, -2.0]], [1.0, -1.0, 2.0], names=("px", "py"))

FILE = '''"""Observables."""
import numpy as np
from math import sqrt


def pt(px, py):
    return np.hypot(px, py)


def scaled(px, factor=2.0):
    return factor * px


def up(py):
    return py > 0


def broken(px):
    return 1 / 0


def scalar(px):
    return px.sum()


def words(px):
    return ["a"] * len(px)


def half(px):
    return np.where(px > 2, px, np.nan)


def missing(pz):
    return pz


def _helper(px):
    return px
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "observables.py"
    path.write_text(FILE)
    return path


def test_columns_are_appended_and_weights_stay(file: Path) -> None:
    functions = functions_of(file)
    out = derived(
        EVENTS,
        {
            "pt2": Expression("px**2 + py**2"),
            "pt": functions["pt"],
            "diff": lambda px, py: px - py,
        },
    )
    assert out.names == ("px", "py", "pt2", "pt", "diff")
    assert out.column("pt2") == pytest.approx([25.0, 100.0, 5.0])
    assert out.column("pt") == pytest.approx([5.0, 10.0, np.sqrt(5.0)])
    assert out.column("diff") == pytest.approx([-1.0, -2.0, 3.0])
    assert out.weights is not None
    assert np.array_equal(out.weights, [1.0, -1.0, 2.0])
    assert derived(EVENTS, {}) is EVENTS


def test_public_own_functions_only(file: Path) -> None:
    functions = functions_of(file)
    assert set(functions) == {
        "pt", "scaled", "up", "broken", "scalar", "words", "half", "missing"
    }  # fmt: skip
    assert functions["pt"].names == ("px", "py")
    assert functions["scaled"].names == ("px",)
    assert functions["scaled"].of(EVENTS) == pytest.approx([6.0, 12.0, 2.0])


def test_conditions_from_text_and_file(file: Path) -> None:
    functions = functions_of(file)
    assert np.array_equal(select(EVENTS, Condition("py > 0")), [True, True, False])
    assert np.array_equal(select(EVENTS, functions["up"]), [True, True, False])
    with pytest.raises(InputError, match=r"got the value 5.0; expected true or false"):
        select(EVENTS, functions["pt"])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", "ZeroDivisionError"),
        ("scalar", r"shape \(\); expected shape \(3,\)"),
        ("words", "ValueError"),
        ("half", "1 of 3 values not finite, the first in row 2"),
        ("missing", "argument 'pz', which is no column"),
    ],
)
def test_faults_of_a_function_are_told_with_its_name(file: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        functions_of(file)[name].of(EVENTS)
    assert caught.value.name.endswith(f"observables.py: {name}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(x:\n", "line 1.*: got"),
        ("import no_such_module_at_all\n", "ModuleNotFoundError"),
        ("x = 3\n", "no public function"),
        ("def f():\n    return 1\n", "plain arguments"),
        ("def f(*columns):\n    return columns[0]\n", "plain arguments"),
    ],
)
def test_faults_of_a_file_are_told(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "faulty.py"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        functions_of(path)


def test_missing_and_foreign_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        functions_of(tmp_path / "none.py")
    text = tmp_path / "notes.txt"
    text.write_text("x")
    with pytest.raises(InputError, match=r"expected a \.py file"):
        functions_of(text)


def test_an_edited_file_is_read_again_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "edited.py"
    for factor in (2, 3):
        path.write_text(f"def f(px):\n    return {factor} * px\n")
        assert functions_of(path)["f"].of(EVENTS) == pytest.approx(factor * EVENTS.x[:, 0])
    assert list(tmp_path.iterdir()) == [path]


def test_taken_names_are_refused() -> None:
    with pytest.raises(InputError, match="have already: 'px'"):
        derived(EVENTS, {"px": Expression("py")})


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(InputError, match="1 of 3 events"):
        derived(EVENTS, {"root": Expression("sqrt(py)")})
