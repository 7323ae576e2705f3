"""Ratings read from a file, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from verisimile.checks.ratings.table import Ratings, read_ratings
from verisimile.core.errors import InputError


def _file(folder: Path, text: str) -> Path:
    path = folder / "ratings.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_columns_in_any_order(tmp_path: Path) -> None:
    text = "item,answer,Rater,system,seconds\n7,real,ann,flow,3\n\n8, generated ,bob,gan,4\n"
    found = read_ratings(_file(tmp_path, text))
    expected = Ratings(("ann", "bob"), ("7", "8"), ("flow", "gan"), ("real", "generated"))
    assert found == expected
    assert found.of("gan").raters == ("bob",)


def test_reads_preferences(tmp_path: Path) -> None:
    found = read_ratings(_file(tmp_path, "rater,item,first,second,answer\na,1,x,y,tie\n"))
    assert found.others == ("y",)
    assert found.names == ("x", "y")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "header: got nothing"),
        ("rater,item,answer\na,1,real\n", "header: got rater, item, answer"),
        ("rater,item,system,answer,answer\na,1,s,real,x\n", "header"),
        ("rater,item,system,answer\n", "equal, at least one"),
        ("rater,item,system,answer\na,1,s\n", "row 1: got 3 cells"),
        ("rater,item,system,answer\na,1,,real\n", "column 'system': got nothing in row 1"),
        ("rater,item,system,answer\na,1,s,x\na,1,s,y\n", "2 answers of rater 'a' on item '1'"),
        ("rater,item,first,second,answer\na,1,s,s,s\n", "'s' compared with itself"),
        (
            "rater,item,first,second,answer\na,1,s,t,s\na,1,t,s,s\n",
            r"2 answers of rater 'a' on item '1' of \['s', 't'\]",
        ),
    ],
)
def test_refusals_name_the_file(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"ratings.csv: .*{message}"):
        read_ratings(_file(tmp_path, text))


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="readable CSV"):
        read_ratings(tmp_path / "none.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InputError, match="readable CSV"):
        read_ratings(tmp_path / "binary.csv")
