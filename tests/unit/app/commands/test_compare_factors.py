"""The table of what differs between samples: files are found, faults are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from verisimile.app.commands.compare_factors import Factors, read_factors
from verisimile.checks.precision_recall.variance import variance_parts
from verisimile.core.errors import InputError

A = [f"a/{i}.parquet" for i in range(4)]
B = [f"b/{i}.parquet" for i in range(4)]
BOTH = {"a": A, "b": B}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(text: str, families: dict[str, list[str]] | None = None, *nested: str) -> Factors:
    path = Path("labels.csv")
    path.write_text(text, encoding="utf-8")
    return read_factors(path, families or {"a": A}, nested)


def table(*entries: str, header: str = "file,network", labels: str = "0011") -> str:
    rows = (f"{entry},{label}" for entry, label in zip(entries, labels, strict=True))
    return "\n".join([header, *rows])


@pytest.mark.usefixtures("home")
def test_labels_are_in_the_order_of_the_files() -> None:
    text = table(*A[::-1], labels="abbc").replace("file,network", "\ufefffile , network")
    assert read(text).labels == {"a": {"network": list("cbba")}}


@pytest.mark.parametrize("prefix", ["", "a/", "./a/", "b/../a/", "{home}/a/"])
def test_an_entry_is_the_end_of_a_path(home: Path, prefix: str) -> None:
    entries = [f"{prefix.format(home=home)}{i}.parquet" for i in range(4)]
    assert read(table(*entries)).labels["a"]["network"] == list("0011")


@pytest.mark.usefixtures("home")
def test_the_very_path_is_meant_before_its_likes() -> None:
    files = {"a": ["0.parquet", "deep/0.parquet", "1.parquet"]}
    found = read(table("0.parquet", "deep/0.parquet", "1.parquet", labels="xyx"), files)
    assert found.labels["a"]["network"] == ["x", "y", "x"]


@pytest.mark.usefixtures("home")
def test_each_family_is_divided_on_its_own() -> None:
    rows = [f"{name},{i % 2},{i // 2 % 2}" for i, name in enumerate(A + B)]
    found = read("\n".join(["file,data,network", *rows]), BOTH)
    labels = {"data": [0, 1, 0, 1], "network": [0, 0, 1, 1]}
    areas = [np.array([0.1, 0.2, 0.4, 0.9]), np.array([0.5, 0.5, 0.5, 0.6])]
    assert found.parts(areas) == tuple(variance_parts(each, labels) for each in areas)


@pytest.mark.usefixtures("home")
def test_nested_labels_begin_anew() -> None:
    files = {"a": [f"{i}.npy" for i in range(8)]}
    rows = [f"{i}.npy,{i // 4},{i // 2 % 2}" for i in range(8)]
    text = "\n".join(["file,data,network", *rows])
    areas = np.array([1.0, 1.1, 2.0, 2.2, 5.0, 5.1, 3.0, 3.3])
    labels = {"data": [0] * 4 + [1] * 4, "network": [0, 0, 1, 1, 2, 2, 3, 3]}
    (within,) = read(text, files, " network = data").parts([areas])
    assert within.levels == {"data": 2, "network": 4}
    assert within == variance_parts(areas, labels)
    (crossed,) = read(text, files).parts([areas])
    assert crossed.levels == {"data": 2, "network": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "columns none and 0 lines"),
        ("file,network", "1 lines"),
        ("name,network\n0.parquet,1", "a column 'file'"),
        ("file\n0.parquet", "columns of labels"),
        ("file,x,x\n0.parquet,1,2", "different names"),
        (table(*A) + "\na/0.parquet", "line 6: a/0.parquet; expected a label in each of 2 columns"),
        (table(*A, labels="001 ").replace("a/0", "\n\na/0"), "line 7: a/3.parquet,;"),
        (table(*A[:3], labels="001"), "no row for a/3.parquet;"),
        (table(*A, "c.parquet", labels="00112"), "not compared: c.parquet;"),
        (table(*A, "0.parquet", labels="00112"), "two rows for a/0.parquet"),
        (table(*A, labels="0000"), "family 'a', factor 'network': got 4 labels of 1 levels"),
        (table(*A, labels="0123"), "cannot tell apart"),
        (table(*A, header="file,rest"), "none called 'rest'"),
    ],
)
@pytest.mark.usefixtures("home")
def test_faults_are_named(text: str, message: str) -> None:
    with pytest.raises(InputError, match="--factors") as error:
        read(text)
    assert message in str(error.value)


@pytest.mark.usefixtures("home")
def test_one_name_in_two_folders_is_not_guessed() -> None:
    text = table(*A, *B[1:], "0.parquet", labels="00110011")
    with pytest.raises(InputError, match=r"'0.parquet', which may be a/0.parquet, b/0.parquet"):
        read(text, BOTH)


@pytest.mark.usefixtures("home")
def test_a_design_is_checked_in_every_family() -> None:
    with pytest.raises(InputError, match="family 'b', factor 'network'"):
        read(table(*A, *B, labels="00110000"), BOTH)


@pytest.mark.parametrize("nested", ["network", "network=", "network=data", "data=network"])
@pytest.mark.usefixtures("home")
def test_nested_factors_must_be_columns(nested: str) -> None:
    with pytest.raises(InputError, match="--nested: got .* columns of the table: network"):
        read(table(*A), None, nested)


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00file"])
def test_what_is_no_table_is_told(home: Path, content: bytes | None) -> None:
    if content is not None:
        (home / "none.csv").write_bytes(content)
    with pytest.raises(InputError, match="expected a CSV file"):
        read_factors(Path("none.csv"), {"a": A})
