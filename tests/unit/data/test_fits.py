"""FITS tables: every type of column, missing values, scales, sums, damage."""

from __future__ import annotations

import gzip
import re
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from astropy.io import fits
from astropy.table import Table

from verisimile.core.errors import InputError
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.files import read_events, write_events

N = 5
ENERGY = np.arange(N) + 0.5


def column(name: str, form: str, values: Any, **more: Any) -> fits.Column:  # noqa: ANN401
    return fits.Column(name, form, array=values, **more)


def write(path: Path, columns: Sequence[fits.Column], name: str = "EVENTS", **cards: Any) -> str:  # noqa: ANN401
    """Write a table; `cards` go into the header afterwards, so that they change no values."""
    fits.BinTableHDU.from_columns(columns, name=name).writeto(path, overwrite=True)
    for key, value in cards.items():
        fits.setval(path, key, value=value, ext=1)
    return str(path)


def test_columns_with_units(tmp_path: Path) -> None:
    uri = write(
        tmp_path / "z.fits",
        [column("ENERGY", "D", ENERGY, unit="GeV"), column("pt", "E", ENERGY / 3.0)],
    )
    events = read_events(uri)
    assert events.features == (Feature("ENERGY", unit="GeV"), Feature("pt"))
    expected = np.column_stack([ENERGY, (ENERGY / 3.0).astype(np.float32)])
    np.testing.assert_array_equal(events.x, expected)
    chosen = read_events(uri, features=["pt"], weights="ENERGY")
    np.testing.assert_array_equal(chosen.weights, ENERGY)


@pytest.mark.parametrize("part", [":EVENTS", ":events", ":2", ":Other"])
def test_tables_are_chosen_by_name_or_number(part: str, tmp_path: Path) -> None:
    other = fits.BinTableHDU.from_columns([column("b", "D", ENERGY)], name="OTHER")
    events = fits.BinTableHDU.from_columns([column("a", "D", ENERGY)], name="EVENTS")
    image = fits.ImageHDU(np.zeros((3, 3)), name="IMAGE")
    units = fits.HDUList([fits.PrimaryHDU(), image, events, other])
    units.writeto(tmp_path / "z.fits")
    expected = ("b",) if part == ":Other" else ("a",)
    assert read_events(f"{tmp_path}/z.fits{part}").names == expected
    with pytest.raises(InputError, match="no table named; expected one of .*'EVENTS', 'OTHER'"):
        read_events(tmp_path / "z.fits")
    with pytest.raises(InputError, match="no table 'EVENT'.*Did you mean 'EVENTS'"):
        read_events(f"{tmp_path}/z.fits:EVENT")
    with pytest.raises(InputError, match="no table '1'"):
        read_events(f"{tmp_path}/z.fits:1")


def test_tables_of_one_name_are_chosen_by_number(tmp_path: Path) -> None:
    made = [fits.BinTableHDU.from_columns([column(c, "D", ENERGY)], name="T") for c in "ab"]
    fits.HDUList([fits.PrimaryHDU(), *made]).writeto(tmp_path / "z.fits")
    with pytest.raises(InputError, match="expected one of the file's: '1', '2'"):
        read_events(f"{tmp_path}/z.fits:T")
    assert read_events(f"{tmp_path}/z.fits:2").names == ("b",)


def test_a_file_of_images_is_told(tmp_path: Path) -> None:
    fits.PrimaryHDU(np.zeros((3, 3))).writeto(tmp_path / "z.fits")
    with pytest.raises(InputError, match="no table, only images"):
        read_events(tmp_path / "z.fits")


def every_kind() -> list[fits.Column]:
    return [
        column("E", "D", ENERGY),
        column("one", "1E", ENERGY),
        column("flag", "L", np.array([True, False, True, True, False])),
        column("byte", "B", np.arange(N, dtype=np.uint8)),
        column("signed", "B", np.arange(N) - 2, bzero=-128),
        column("u16", "I", np.arange(N, dtype=np.uint16) + 40000, bzero=2**15),
        column("u32", "J", np.arange(N, dtype=np.uint32) + 2**31, bzero=2**31),
        column("u64", "K", np.arange(N, dtype=np.uint64) + 2**53 - N, bzero=2**63),
        column("tag", "4A", list("abcde")),
        column("vector", "3E", np.ones((N, 3))),
        column("cube", "6E", np.ones((N, 3, 2)), dim="(2,3)"),
        column("complex", "C", ENERGY + 1j),
        column("jagged", "PE()", np.array([np.ones(j, "f4") for j in range(N)], object)),
        column("bits", "3X", np.ones((N, 3), bool)),
        column("nothing", "0D", None),
    ]


def test_every_type_is_read_or_left_out_with_a_reason(tmp_path: Path) -> None:
    events = read_events(write(tmp_path / "z.fits", every_kind()))
    values = {
        "E": ENERGY,
        "one": ENERGY,
        "flag": np.array([1, 0, 1, 1, 0]),
        "byte": np.arange(N),
        "signed": np.arange(N) - 2,
        "u16": np.arange(N) + 40000,
        "u32": np.arange(N) + 2**31,
        "u64": np.arange(N) + 2**53 - N,
    }
    assert events.names == tuple(values)
    np.testing.assert_array_equal(events.x, np.column_stack(list(values.values())))
    assert events.account is not None
    assert {item.name: item.reason for item in events.account.left_out} == {
        "tag": "text",
        "vector": "an array of shape (5, 3)",
        "cube": "an array of shape (5, 3, 2)",
        "complex": "values of type >c8",
        "jagged": "rows of different length",
        "bits": "bits",
        "nothing": "no values",
    }
    doubts = {item.name for item in events.account.doubts}
    assert doubts == {"vector", "cube", "complex", "bits"}
    labelled = read_events(tmp_path / "z.fits", features=["E"], group="tag")
    assert labelled.n_groups == N


@pytest.mark.parametrize("name", ["complex", "jagged", "vector", "tag"])
def test_other_types_that_are_asked_for_are_refused(name: str, tmp_path: Path) -> None:
    uri = write(tmp_path / "z.fits", every_kind())
    with pytest.raises(InputError, match=f"column '{name}': got .*; expected a flat column"):
        read_events(uri, features=["E", name])


def test_unsigned_integers_beyond_a_double_are_refused(tmp_path: Path) -> None:
    large = np.arange(N, dtype=np.uint64) + 2**63 + 1
    uri = write(
        tmp_path / "z.fits", [column("E", "D", ENERGY), column("id", "K", large, bzero=2**63)]
    )
    with pytest.raises(InputError, match="'id': got integers such as 92233720368547758.., beyond"):
        read_events(uri)
    assert read_events(uri, features=["E"], group="id").n_groups == N


MISSING = [
    pytest.param(column("x", "J", [1, -99, 3, 4, 5], null=-99), {}, [1, 3, 4, 5], id="integers"),
    pytest.param(column("x", "D", [1, np.nan, 3, 4, 5]), {}, [1, 3, 4, 5], id="NaN"),
    pytest.param(
        column("x", "I", [0, -1, 1, 2, 3]),
        {"TSCAL1": 0.5, "TZERO1": 10.0, "TNULL1": -1},
        [10, 10.5, 11, 11.5],
        id="scaled",
    ),
    pytest.param(
        column("x", "J", np.arange(N) - 2**31),
        {"TZERO1": 2**31, "TNULL1": 1 - 2**31},
        [0, 2, 3, 4],
        id="unsigned",
    ),
]


@pytest.mark.parametrize(("content", "cards", "kept"), MISSING)
def test_missing_values_are_told_or_dropped(
    content: fits.Column, cards: dict[str, Any], kept: list[float], tmp_path: Path
) -> None:
    uri = write(tmp_path / "z.fits", [content], **cards)
    with pytest.raises(InputError, match="column 'x': got missing values .*first in row 1"):
        read_events(uri)
    assert read_events(uri, missing="drop").x[:, 0].tolist() == kept


def test_logical_values_may_be_missing_but_not_odd(tmp_path: Path) -> None:
    uri = write(tmp_path / "z.fits", [column("flag", "L", [True, False, True, True, False])])
    path = tmp_path / "z.fits"
    content = bytearray(path.read_bytes())
    start = content.rindex(b"TFTTF")
    content[start + 1] = 0
    path.write_bytes(content)
    assert read_events(uri, missing="drop").x[:, 0].tolist() == [1, 1, 1, 0]
    content[start + 1] = ord("X")
    path.write_bytes(content)
    with pytest.raises(InputError, match="'flag': got a logical value .* in row 1"):
        read_events(uri)


@pytest.mark.parametrize(
    ("form", "stored", "cards", "expected"),
    [
        ("K", np.arange(N) + 2**52, {"TZERO1": 10}, np.arange(N) + 2**52 + 10),
        ("I", np.arange(N), {"TSCAL1": 0.1, "TZERO1": -3.5}, np.arange(N) * 0.1 - 3.5),
        ("E", ENERGY, {"TSCAL1": 3.0}, ENERGY.astype(np.float32) * 3.0),
        ("J", np.arange(N), {"TSCAL1": 2}, np.arange(N) * 2.0),
        ("B", np.arange(N), {"TZERO1": -128}, np.arange(N) - 128.0),
    ],
)
def test_scales_are_exact(
    form: str,
    stored: npt.NDArray[Any],
    cards: dict[str, Any],
    expected: npt.NDArray[Any],
    tmp_path: Path,
) -> None:
    uri = write(tmp_path / "z.fits", [column("x", form, stored)], **cards)
    np.testing.assert_array_equal(read_events(uri).x[:, 0], expected)


@pytest.mark.parametrize("cards", [{"TZERO1": 10}, {"TSCAL1": 0.5}])
def test_scaled_integers_that_a_double_would_round_are_refused(
    cards: dict[str, Any], tmp_path: Path
) -> None:
    uri = write(tmp_path / "z.fits", [column("x", "K", np.arange(N) + 2**53 + 1)], **cards)
    with pytest.raises(InputError, match=r"'x': got a stored integer 9007199254740993 in row 0"):
        read_events(uri)


@pytest.mark.parametrize("card", ["TSCAL1", "TZERO1", "TNULL1"])
def test_a_header_that_says_no_number_is_told(card: str, tmp_path: Path) -> None:
    uri = write(tmp_path / "z.fits", [column("x", "J", np.arange(N))], **{card: "much"})
    with pytest.raises(InputError, match=f"column 'x': got {card} = 'much'"):
        read_events(uri)


def ascii_table(path: Path, **cards: Any) -> str:  # noqa: ANN401
    columns = [
        fits.Column("E", "E12.4", array=ENERGY, ascii=True, unit="GeV"),
        fits.Column("k", "I6", array=np.arange(N), ascii=True),
        fits.Column("s", "A4", array=list("abcde"), ascii=True),
    ]
    fits.TableHDU.from_columns(columns).writeto(path)
    for key, value in cards.items():
        fits.setval(path, key, value=value, ext=1)
    return str(path)


def replace_cell(path: Path, old: bytes, new: bytes) -> None:
    """Put another integer into the rows, where it stands once."""
    content = path.read_bytes()
    rows, count = re.subn(old + rb"(?!\.)", new, content[-2880:])
    assert count == 1
    path.write_bytes(content[:-2880] + rows)


def test_tables_of_text(tmp_path: Path) -> None:
    events = read_events(ascii_table(tmp_path / "z.fits", TSCAL2=2, TZERO2=0.5))
    assert events.features == (Feature("E", unit="GeV"), Feature("k"))
    np.testing.assert_array_equal(events.x, np.column_stack([ENERGY, np.arange(N) * 2.0 + 0.5]))


@pytest.mark.parametrize(("cell", "cards"), [(b"     3", {"TNULL2": "3"}), (b"      ", {})])
def test_missing_cells_in_tables_of_text(
    cell: bytes, cards: dict[str, str], tmp_path: Path
) -> None:
    uri = ascii_table(tmp_path / "z.fits", **cards)
    path = tmp_path / "z.fits"
    replace_cell(path, b"     3", cell)
    with pytest.raises(InputError, match="'k': got missing values .*first in row 3"):
        read_events(uri)
    replace_cell(path, b"     2", b"  oops")
    with pytest.raises(InputError, match="'k': got text oops in row 2"):
        read_events(uri, missing="drop")


def test_tables_of_astropy_with_masks(tmp_path: Path) -> None:
    table = Table({"m": ENERGY, "k": np.ma.MaskedArray(np.arange(N), np.arange(N) == 2)})
    table.write(tmp_path / "z.fits")
    with pytest.raises(InputError, match="column 'k': got missing values .*first in row 2"):
        read_events(tmp_path / "z.fits")
    assert read_events(tmp_path / "z.fits", missing="drop").n == N - 1


def test_sums_are_checked(tmp_path: Path) -> None:
    events = Events(np.column_stack([ENERGY, ENERGY]), names=("a", "b"))
    path = tmp_path / "z.fits"
    write_events(events, path)
    content = bytearray(path.read_bytes())
    content[-2880 + 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="table 'EVENTS': got other contents than its DATASUM"):
        read_events(path)
    write_events(events, path)
    path.write_bytes(path.read_bytes().replace(b"TTYPE1  = 'a", b"TTYPE1  = 'c"))
    with pytest.raises(InputError, match="table 'EVENTS': got other contents than its CHECKSUM"):
        read_events(path)


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.999])
def test_half_files_are_told(suffix: str, share: float, tmp_path: Path) -> None:
    path = tmp_path / f"z{suffix}"
    write_events(Events(np.arange(2000.0)[:, None], names=("a",)), path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match="a file that cannot be read"):
        read_events(path)


def test_a_table_that_declares_more_than_the_file_holds_is_told(tmp_path: Path) -> None:
    uri = write(tmp_path / "z.fits", [column("x", "D", ENERGY)])
    path = tmp_path / "z.fits"
    rows = b"NAXIS2  =                    5"
    assert rows in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(rows, b"NAXIS2  =        1000000000000"))
    with pytest.raises(InputError, match="a file that cannot be read"):
        read_events(uri)


def test_a_zipped_bomb_is_refused(tmp_path: Path) -> None:
    uri = write(tmp_path / "z.fits", [column("x", "D", ENERGY)])
    zipped = gzip.compress(Path(uri).read_bytes()) + 20 * gzip.compress(bytes(2**24))
    (tmp_path / "z.fits.gz").write_bytes(zipped)
    with pytest.raises(InputError, match="at most 400 times the size of the file"):
        read_events(tmp_path / "z.fits.gz")


def test_no_events_and_repeated_columns_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no events"):
        read_events(write(tmp_path / "z.fits", [column("x", "D", np.zeros(0))]))
    uri = write(tmp_path / "y.fits", [column("x", "D", ENERGY), column("y", "D", ENERGY)])
    path = tmp_path / "y.fits"
    path.write_bytes(path.read_bytes().replace(b"TTYPE2  = 'y", b"TTYPE2  = 'x"))
    with pytest.raises(InputError, match="repeated columns 'x'"):
        read_events(uri)


def test_packed_tables_say_what_to_do(tmp_path: Path) -> None:
    uri = write(tmp_path / "z.fits", [column("x", "D", ENERGY)], ZTABLE=True)
    with pytest.raises(InputError, match="a table that fpack compressed.*funpack"):
        read_events(uri)


def test_habits_of_other_programs_raise_no_warnings(tmp_path: Path) -> None:
    uri = write(tmp_path / "z.fits", [column("x", "D", ENERGY)], TUNIT1="furlong", TDISP1="Q3")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_events(uri).features == (Feature("x", unit="furlong"),)


def test_units_weights_and_groups_are_written(tmp_path: Path) -> None:
    features = [Feature("m", unit="GeV"), Feature("pt")]
    events = Events(
        np.column_stack([ENERGY, ENERGY**2]), ENERGY, features=features, group=[0, 0, 1, 1, 2]
    )
    write_events(events, f"{tmp_path}/z.fits:TREE")
    back = read_events(f"{tmp_path}/z.fits:TREE", weights="weight", group="group")
    assert back.digest == events.digest
    assert back.features == events.features
    with fits.open(tmp_path / "z.fits", checksum=True) as store:
        assert store["TREE"].verify_checksum() == 1


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([Feature("é")], r"names or units \['é'\]"),
        ([Feature("m", unit="µm")], r"names or units \['µm'\]"),
        ([Feature("x" * 80)], "names or units"),
        ([Feature("m"), Feature("M")], "repeated columns 'm'"),
    ],
)
def test_names_that_fits_cannot_hold_are_told(
    features: list[Feature], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        write_events(Events(np.ones((2, len(features))), features=features), tmp_path / "z.fits")
    assert list(tmp_path.iterdir()) == []


def test_without_astropy_its_installation_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = write(tmp_path / "z.fits", [column("x", "D", ENERGY)])
    monkeypatch.setitem(sys.modules, "astropy.io.fits", None)
    with pytest.raises(InputError, match=r"pip install 'verisimile\[fits\]'"):
        read_events(uri)


@pytest.mark.parametrize("word", ["NAXIS", "TFIELDS"])
def test_headers_that_declare_more_than_there_can_be_are_refused(tmp_path: Path, word: str) -> None:
    uri = write(tmp_path / "z.fits", [column("E", "D", ENERGY)])
    content = Path(uri).read_bytes()
    place = content.index(f"{word:8s}=".encode(), 2880 if word == "TFIELDS" else 0)
    card = f"{word:8s}= {1099511627776:>20d}".ljust(80).encode()
    Path(uri).write_bytes(content[:place] + card + content[place + 80 :])
    with pytest.raises(InputError, match=f"declares {word} = 1099511627776"):
        read_events(uri)
