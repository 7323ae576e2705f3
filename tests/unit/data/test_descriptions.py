"""What is said of features: merged part by part, contradictions told, data untouched."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from verisimile.core.errors import InputError, SupportError
from verisimile.data.derived import described, worded_by
from verisimile.data.description import Description, agreed, worded
from verisimile.data.events import Events
from verisimile.data.feature import Feature
from verisimile.data.files import column_names, read_events, read_generated, write_events

FEATURES = (Feature("m", unit="GeV", label="$m$", low=0.0), Feature("phi", kind="periodic"))


@pytest.fixture
def events() -> Events:
    return Events([[91.0, 0.5], [80.0, 3.0]], features=FEATURES)


def test_what_is_not_said_is_left_to_the_feature() -> None:
    said = Description(unit="MeV", low=-math.inf)
    assert said.onto(FEATURES[0]) == Feature("m", unit="MeV", label="$m$")
    assert Description().onto(FEATURES[1]) == FEATURES[1]
    assert Description(kind="continuous", unit="").onto(FEATURES[1]) == Feature("phi")


def test_the_upper_of_two_descriptions_wins_part_by_part() -> None:
    both = Description(unit="GeV").over(Description(unit="MeV", label="mass"))
    assert both == Description(unit="GeV", label="mass")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"kind": "angular"}, "kind: got 'angular'"),
        ({"transform": "sqrt"}, "transform: got 'sqrt'"),
        ({"low": 3.0, "high": 1.0}, "low < high"),
        ({"low": math.nan}, "low: got nan"),
        ({"high": -math.inf}, "high: got -inf"),
    ],
)
def test_wrong_parts_are_told_at_once(parts: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Description(**parts)  # type: ignore[arg-type]


def test_agreement_joins_and_a_contradiction_names_both_places() -> None:
    first = {"phi": Description(unit="rad"), "m": Description(low=0.0)}
    joined = agreed(first, {"phi": Description(kind="periodic")}, ("--feature", "--periodic"))
    assert joined == {"phi": Description(unit="rad", kind="periodic"), "m": first["m"]}
    with pytest.raises(InputError, match=r"--feature m: got low = 0.0, and 1.0 by --support"):
        agreed(first, {"m": Description(low=1.0)}, ("--feature", "--support"))


def test_events_are_described_without_a_change_of_data(events: Events) -> None:
    found = described(events, {"m": Description(label="mass")})
    assert found.features == (Feature("m", unit="GeV", label="mass", low=0.0), FEATURES[1])
    assert found.x is events.x
    assert found.digest == events.digest
    assert described(events, {}) is events
    with pytest.raises(InputError, match=r"no column 'mm'.*Did you mean 'm'"):
        described(events, {"mm": Description(unit="GeV")})
    with pytest.raises(SupportError, match="2 values outside, the first 91.0 in row 0"):
        described(events, {"m": Description(high=50.0)})
    with pytest.raises(InputError, match="finite bound"):
        described(events, {"phi": Description(transform="log")})


def test_specifications_of_other_columns_are_refused(events: Events) -> None:
    with pytest.raises(InputError, match="events.features: got 'phi', 'm'"):
        events.with_features(FEATURES[::-1])


def test_words_come_from_whoever_has_them() -> None:
    bare = Events([[1.0]], names=("m",))
    other = Events([[2.0]], features=[Feature("m", unit="GeV", label="$m$", low=0.0)])
    assert worded_by(bare, [bare, other]).features == (Feature("m", unit="GeV", label="$m$"),)
    assert worded(Feature("m", unit="MeV"), other.features).title == "$m$ [MeV]"


@pytest.mark.parametrize("suffix", [".parquet", ".feather", ".csv", ".npz"])
def test_a_partial_description_keeps_the_rest_of_the_file(
    events: Events, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"z{suffix}"
    write_events(events, path)
    carried = FEATURES if suffix in (".parquet", ".feather") else tuple(map(Feature, events.names))
    said = {"m": Description(unit="TeV"), "phi": Description(label=r"$\phi$")}
    wanted = tuple(said[spec.name].onto(spec) for spec in carried)
    assert read_events(path, specs=said).features == wanted
    assert read_generated(path, features=["m", "phi"], specs=said).events.features == wanted
    assert read_events([path, path], features=["phi"], specs=said).features == wanted[1:]


def test_faults_of_descriptions_name_file_row_and_the_nearest_column(
    events: Events, tmp_path: Path
) -> None:
    path = tmp_path / "z.parquet"
    write_events(events, path)
    with pytest.raises(InputError, match=r"z.parquet.*no column 'fi'.*'m', 'phi'"):
        read_events(path, specs={"fi": Description(unit="rad")})
    with pytest.raises(SupportError, match=r"z.parquet.*column 'm'.*first 80.0 in row 1"):
        read_events(path, specs={"m": Description(low=85.0)})
    with pytest.raises(SupportError, match=r"2 files from .*z.parquet.*, rows counted .*row 1"):
        read_events([path, path], specs={"m": Description(low=85.0)})


def test_words_of_single_parquet_columns_are_read(tmp_path: Path) -> None:
    words = [
        {"unit": "GeV", "label": "$p_T$"},
        {"Units": " mm ", "description": "impact parameter"},
        {"description": "a paragraph that explains at length what no axis can hold, and more"},
        None,
    ]
    fields = [
        pa.field(name, pa.float64(), metadata=said)
        for name, said in zip(("pt", "d0", "q", "z"), words, strict=True)
    ]
    table = pa.table([np.arange(3.0)] * 4, schema=pa.schema(fields))
    pq.write_table(table, tmp_path / "z.parquet")
    wanted = (
        Feature("pt", unit="GeV", label="$p_T$"),
        Feature("d0", unit="mm", label="impact parameter"),
        Feature("q"),
        Feature("z"),
    )
    assert read_events(tmp_path / "z.parquet").features == wanted
    assert Events(table).features == wanted
    assert column_names(tmp_path / "z.parquet") == ("pt", "d0", "q", "z")
