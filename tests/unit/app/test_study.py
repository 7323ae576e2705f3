"""A run folder belongs to one configuration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from verisimile.app.study import FitStudy, check_free, finish, load_study
from verisimile.core.errors import StoreError
from verisimile.core.store import DirectoryStore, MemoryStore
from verisimile.data.events import Events
from verisimile.report.content import InputSample, Stage, Timings

STUDY = FitStudy(
    seed=7,
    configuration={"training sample": "abc", "trainer": {"epochs": 3}},
    inputs=(InputSample.of("training", "z.parquet", Events([[1.0], [2.0]])),),
    weights=None,
    command="verisimile fit z.parquet --out run",
)


def test_a_finished_study_is_found_again(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    check_free(store, STUDY)
    done = finish(store, STUDY, Timings((Stage("training", 2.0),)))
    assert load_study(DirectoryStore(tmp_path)) == done
    check_free(store, STUDY)


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (replace(STUDY, seed=8), "seed: 7 there, 8 now"),
        (
            replace(STUDY, configuration={**STUDY.configuration, "training sample": "xyz"}),
            "training sample",
        ),
        (
            replace(STUDY, configuration={**STUDY.configuration, "trainer": {"epochs": 4}}),
            "trainer",
        ),
        (replace(STUDY, configuration={"trainer": {"epochs": 3}}), "nothing now"),
    ],
)
def test_another_configuration_is_refused_and_nothing_is_lost(other: FitStudy, named: str) -> None:
    store = MemoryStore()
    finish(store, STUDY, Timings())
    with pytest.raises(StoreError, match=named) as refused:
        check_free(store, other)
    assert STUDY.command in str(refused.value)
    assert load_study(store) == STUDY


def test_a_folder_without_a_fit_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="verisimile fit"):
        load_study(DirectoryStore(tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()


def test_a_damaged_description_is_refused(tmp_path: Path) -> None:
    for text in ("{", "[]", '{"schema": "verisimile.estimate/1", "value": 1.0, "error": 0.1}'):
        (tmp_path / "fit.json").write_text(text)
        with pytest.raises(StoreError, match=r"fit\.json|schema"):
            load_study(DirectoryStore(tmp_path))
