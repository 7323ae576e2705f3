from __future__ import annotations

import pytest

from verisimile.core.errors import InputError
from verisimile.data.feature import listing, require_columns, suggestion, unique


def test_long_lists_are_cut() -> None:
    assert listing(["a", "b"]) == "'a', 'b'"
    assert listing([f"c{k}" for k in range(1500)]).endswith("'c19' and 1480 more")
    assert listing([]) == "(nothing)"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("MLL", "Did you mean 'm_ll'?"), ("pt", "Did you mean 'Pt'?"), ("weight", "")],
)
def test_the_nearest_name_is_suggested(name: str, expected: str) -> None:
    assert suggestion(name, ["m_ll", "Pt", "eta"]) == expected


def test_present_and_distinct_names_pass() -> None:
    require_columns(["a"], ["b", "a"], "file")
    unique(["a", "b"], "file")


def test_missing_and_repeated_names_are_told() -> None:
    with pytest.raises(InputError, match="file: got no column 'c', 'd'; expected columns among"):
        require_columns(["c", "a", "d"], ["a"], "file")
    with pytest.raises(InputError, match="file: got repeated columns 'a'"):
        unique(["a", "b", "a"], "file")
