from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from verisimile.core.errors import InputError
from verisimile.data.account import Account
from verisimile.data.cells import read_cells
from verisimile.data.events import Events
from verisimile.data.files import read_events

CASES = Path(__file__).parents[2] / "cases"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "z.csv"


def read(path: Path, text: str | bytes, **asked: object) -> Events:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_events(path, **asked)  # type: ignore[arg-type]


def account(events: Events) -> Account:
    assert events.account is not None
    return events.account


SPELLINGS = """
0 -0.0 +5 +5.5 007 00.50 1. .5 1e5 1E+05 1e-400 4.9e-324 2.2250738585072011e-308
0.1234567890123456789012345 123456789012345680000.5 9007199254740992 1.7976931348623157e308
0.30000000000000004 5e-324 8.5e22 9007199254740993.0 1e22 1e23 7.2057594037927933e16
""".split()  # noqa: SIM905


def test_cells_have_the_value_that_python_gives_them(path: Path) -> None:
    # Alone, among others, and in a column that is read as text because of one cell.
    rows = [f'{cell},{cell},"{cell}", {cell} ' for cell in SPELLINGS]
    text = "\n".join(["a,b,c,d", *rows, "nan,-2.0D+03,NA,true"])
    events = read(path, text, missing="drop")
    expected = np.array([float(cell) for cell in SPELLINGS])
    for name in "abcd":
        np.testing.assert_array_equal(events.column(name), expected)
    assert account(events).dropped == 1


def test_the_fast_way_and_the_slow_way_agree(path: Path, rng: np.random.Generator) -> None:
    bits = rng.integers(0, 2**64, 3000, np.uint64).view(np.float64)
    cells = [f"{x:.{rng.integers(1, 25)}e}" for x in bits[np.isfinite(bits)]]
    np.testing.assert_array_equal(
        read(path, "\n".join(["x", *cells])).column("x"), read_cells(cells).values
    )


@pytest.mark.parametrize("cell", ["0x10", "1_000", "½", "1\x00", "2.5f", "1,5", "12:30", "1 2"])
def test_what_python_or_a_reader_of_numbers_refuses_is_told_with_row_and_line(
    path: Path, cell: str
) -> None:
    quoted = f'"{cell}"'
    text = "\n".join(["# made by hand", "m,pt", *["1,2"] * 10, f"3,{quoted}", *["1,2"] * 10])
    with pytest.raises(
        InputError, match=r"column 'pt': got text '.*' in row 10 \(line 13 of the file\), 1 of 21"
    ) as caught:
        read(path, text)
    assert repr(cell) in str(caught.value)


def test_one_bad_cell_far_from_the_first_rows_is_told(path: Path) -> None:
    rows = [f"{row},{row / 8}" for row in range(10_001)]
    rows[9_000] = "9000,oops"
    with pytest.raises(InputError, match=r"'oops' in row 9000 \(line 9002 .*1 of 10001 cells"):
        read(path, "\n".join(["m,pt", *rows]))
    events = read(path, "\n".join(["m,pt", *rows]), ignore=["pt"])
    np.testing.assert_array_equal(events.column("m"), np.arange(10_001))


def test_dashes_are_missing_values() -> None:
    with pytest.raises(InputError, match=r"column 'mag': .*'mag': 7\}.*row 0 \(line 2 "):
        read_events(CASES / "dashes_gen.csv")
    events = read_events(CASES / "dashes_gen.csv", missing="drop")
    assert (events.n, account(events).dropped) == (593, 7)


@pytest.mark.parametrize("cell", ["1e400", "-inf", "Infinity"])
def test_infinite_cells_are_told(path: Path, cell: str) -> None:
    with pytest.raises(InputError, match=r"'pt': got infinite values .*row 1 \(line 3 "):
        read(path, f"m,pt\n1,2\n1,{cell}\n")


@pytest.mark.parametrize("beside", ["1", "1.5"])
@pytest.mark.parametrize("cell", ["9007199254740993", "-9223372036854775809", "1" * 40])
def test_whole_numbers_that_no_double_holds_are_told(path: Path, cell: str, beside: str) -> None:
    with pytest.raises(InputError, match=rf"integers such as {cell}, beyond"):
        read(path, f"event,m\n{beside},1\n{cell},2\n")


def test_large_decimals_are_numbers(path: Path) -> None:
    np.testing.assert_array_equal(read(path, "e\n1e17\n2.5e300\n").x[:, 0], [1e17, 2.5e300])


@pytest.mark.parametrize(
    "cells",
    [
        ("2026-01-01", "2026-01-02"),
        ("12:30:00", "12:31:00"),
        ("2026-01-01T12:30:00", "2026-01-01T12:31:00"),
        ("caf\xe9", "th\xe9"),
        ('"a\nb"', '"c,d"'),
        ("signal", "background"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_words_and_dates_are_left_out(path: Path, cells: tuple[str, str], encoding: str) -> None:
    text = f"m,t,pt\n1.5,{cells[0]},2\n2.5,{cells[1]},3\n"
    events = read(path, text.encode(encoding))
    assert events.names == ("m", "pt")
    assert events.x.tolist() == [[1.5, 2.0], [2.5, 3.0]]
    (left,) = account(events).left_out
    assert left.reason.startswith("text such as '")
    assert not left.doubtful


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffm,pt\n1.5,2\n2.5,3\n",
        "m,pt\r\n1.5,2\r\n2.5,3\r\n",
        "m,pt\r1.5,2\r2.5,3",
        '"m","pt"\n"1.5","2"\n"2.5","3"\n',
        "m, pt\n1.5, 2\n 2.5 ,3\n",
        "\n\nm,pt\n1.5,2\n\n2.5,3\n\n\n",
        "# m,pt\n1.5,2\n2.5,3\n",
        "#m pt\n1.5,2\n2.5,3\n",
        '# a run of 5" pipes\n# m,pt\n1.5,2\n2.5,3\n',
        "# m,pt\n# in GeV\n1.5,2\n2.5,3\n",
        "#: name: Table 1\n#: description: a, b\nm,pt\n1.5,2\n2.5,3\n",
        ",m,pt\n0,1.5,2\n1,2.5,3\n",
        ",m,pt\n7,1.5,2\n3,2.5,3\n",
        "m,pt,\n1.5,2,\n2.5,3,\n",
    ],
)
def test_headers_of_all_kinds(path: Path, text: str) -> None:
    events = read(path, text)
    assert events.names == ("m", "pt")
    assert events.x.tolist() == [[1.5, 2.0], [2.5, 3.0]]
    assert not account(events).doubts


def test_a_header_of_several_lines_does_not_move_the_rows(path: Path) -> None:
    events = read(path, '"m\n[GeV]",pt\n1.5,2\n2.5,3\n')
    assert events.names == ("m\n[GeV]", "pt")
    assert events.x.tolist() == [[1.5, 2.0], [2.5, 3.0]]


@pytest.mark.parametrize("name", ["comment_lines.csv", "hash_header.csv"])
def test_comments_before_the_first_row(name: str) -> None:
    assert read_events(CASES / name).names == ("m", "pt")


def test_an_unnamed_first_column_of_row_numbers_is_left_out() -> None:
    events = read_events(CASES / "unnamed_first_column.csv")
    assert [(left.name, left.reason) for left in account(events).left_out] == [
        ("unnamed0", "row numbers")
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("m;pt\n1,5;2,5\n", r"with semicolons in its name.*sep=';', decimal=','"),
        ("m\tpt\n1\t2\n", r"with tabs in its name.*sep='\\t'\)"),
        ("m|pt\n1|2\n", "with bars in its name"),
        ("m pt\n1 2\n", r"with blanks in its name.*sep='\\\\s\+'\)"),
        ("1.0 2.0\n3.0 4.0\n", "with blanks in its name"),
        ("m,pt\n1,5,2,5\n", r"4 cells in row 0 \(line 2 of the file\).*decimal commas"),
        ("m,pt\n1,2\n3,4,\n", r"3 cells in row 1 \(line 3 of the file\)"),
        ("m,pt\n1,2\n\n#: name\nx,y,z\n1,2,3\n", r"1 cells in row 1 \(line 4 .*several tables"),
        ("m,pt\n1,2\n\nm,pt\n3,4\n", r"text 'm' in row 1 \(line 4 of the file\)"),
        ("m,pt\nGeV,GeV\n3,4\n", r"text 'GeV' in row 0 \(line 2 of the file\)"),
        ("# m,pt\n# GeV,TeV\n1,2\n", "2 comments with 2 words"),
        ("m, m\n1,2\n", "repeated columns 'm'"),
        ("m,pt\n", "a header and no events"),
        ("# nothing\n", "comments alone"),
        ("1.5,2.5,ab\n3.5,4.5,cd\n", r"numbers in the first line \(1.5, 2.5, ab\)"),
        ('m,tag\n1,a\n2,"b\n3,c\n4,d\n', "a quote that is never closed"),
        ("m\n1\n\n3\n", r"'m': 1\}.*in row 1 \(line 3 "),
        ("m,pt\n1,2\n".encode("utf-16"), "got a name .*Save the file as UTF-8"),
        ("m\xe9,pt\n1,2\n".encode("latin-1"), "got a name .*Save the file as UTF-8"),
    ],
)
def test_faults_are_told_with_the_line(path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(path, text)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("text", "names"),
    [("jet pt\n1.5\n2.5\n", ("jet pt",)), ("m\n1.5\n2.5\n\n", ("m",))],
    ids=["a blank in the only name", "empty lines at the end"],
)
def test_a_single_column(path: Path, text: str, names: tuple[str, ...]) -> None:
    events = read(path, text)
    assert events.names == names
    assert events.x.tolist() == [[1.5], [2.5]]


def test_thousands_of_columns_in_rows_longer_than_a_block(path: Path) -> None:
    d = 20_000
    row = ",".join(["0.12345678901234568"] * d)
    events = read(path, "\n".join([",".join(f"c{j}" for j in range(d)), row, row]))
    assert (events.n, events.d) == (2, d)
    assert (events.x == 0.12345678901234568).all()


def test_a_row_longer_than_a_block(path: Path) -> None:
    long = "x" * 3_000_000
    events = read(path, f"m,tag\n1,a\n2,{long}\n3,b\n", features=["m"])
    assert events.x[:, 0].tolist() == [1.0, 2.0, 3.0]
