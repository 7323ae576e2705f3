"""Whatever is given to a reader, it is read or told: a short run of ``make fuzz``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fuzz import outcomes
from fuzz.__main__ import main
from fuzz.cases import TWINS, Case, case_of, kinds_of
from fuzz.corpus import Sample, read_corpus, write_corpus
from fuzz.faults import fault_place, replayed
from fuzz.mutations import guarded, is_covered
from fuzz.outcomes import FAULTS, compared, key_of, outcome_of
from fuzz.runner import Plan, run_plan
from fuzz.table import counted, fault_lines
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds
from verisimile.data.events import Events
from verisimile.data.files import read_events
from verisimile.data.formats.registry import FORMATS

LIMITED = pytest.mark.skipif(sys.platform != "linux", reason="needs the limits of Linux")

Corpus = Mapping[str, list[Sample]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("fuzz")
    write_corpus(made / "corpus")
    return made


@pytest.fixture(scope="module")
def corpus(folder: Path) -> Corpus:
    return read_corpus(folder / "corpus")


def uri(folder: Path, sample: Sample) -> str:
    return str(folder / sample.name) + (f":{sample.part}" if sample.part else "")


def test_every_format_has_valid_files_that_are_read(folder: Path, corpus: Corpus) -> None:
    assert set(corpus) == set(FORMATS)
    refused = set()
    for sample in (each for samples in corpus.values() for each in samples):
        for asked in sample.asked:
            try:
                read_events(uri(folder / "corpus", sample), **asked)
            except InputError:
                refused.add(sample.name.rpartition(".")[0].partition("-")[2])
    assert refused <= {"frame-fixed", "frame-table"}


def test_formats_with_checksums_have_files_that_they_guard(corpus: Corpus) -> None:
    guarding = {suffix for suffix, samples in corpus.items() if any(s.covered for s in samples)}
    assert guarding >= {".parquet", ".npz", ".h5", ".root"}


@LIMITED
def test_a_short_run_finds_no_fault_and_is_resumed(folder: Path) -> None:
    # Time is not at stake here: a slow machine has a minute for each input.
    plan = Plan(folder, seed=14, inputs=600, cpu=60)
    said: list[str] = []
    chunks = run_plan(plan, said.append)
    assert fault_lines(chunks) == []
    found = counted(chunks)
    assert sum(found.values()) >= 600
    assert found["told"] > 100
    assert found["same"] > 20
    assert {chunk.kind for chunk in chunks} == set(kinds_of(read_corpus(folder / "corpus")))
    again: list[str] = []
    assert run_plan(plan, again.append) == chunks
    assert said
    assert again == []


@pytest.mark.calibration
@LIMITED
def test_faults_are_seen_and_kept(folder: Path) -> None:
    plan = Plan(folder, seed=1, inputs=4, kinds=(TWINS,), cpu=1, peak=200)
    chunks = run_plan(plan, lambda _: None)
    found = [fault["kind"] for chunk in chunks for fault in chunk.faults]
    assert found == ["raw", "hang", "crash", "memory"]
    assert replayed(fault_place(folder, TWINS, 0)).kind == "raw"
    assert main(["--replay", str(fault_place(folder, TWINS, 0))]) == 1


def test_inputs_follow_from_the_seed(folder: Path, corpus: Corpus) -> None:
    for kind in corpus:
        first, again, other = (case_of(kind, j, 3, corpus, folder) for j in (17, 17, 18))
        assert (first.content, first.asked) == (again.content, again.asked)
        assert first.content != other.content or first.asked != other.asked


@pytest.mark.parametrize("suffix", [".parquet", ".npz", ".h5"])
def test_changes_that_a_checksum_guards_are_told(
    suffix: str, folder: Path, corpus: Corpus, tmp_path: Path
) -> None:
    sample = next(each for each in corpus[suffix] if each.covered)
    asked = next(each for each in sample.asked if "group" in each)  # which reads all columns
    valid = read_events(uri(folder / "corpus", sample), **asked).digest
    path = tmp_path / sample.name
    told = same = 0
    for j in range(20):
        changed = guarded(sample.content, sample.covered, Seeds(j).at("guarded").numpy())
        assert is_covered(sample.content, changed, sample.covered)
        path.write_bytes(changed)
        try:
            same += read_events(uri(tmp_path, sample), **asked).digest == valid
        except InputError:
            told += 1
    assert told + same == 20  # a bit that no value depends on may change
    assert told >= 15


def test_a_reader_that_loses_errors_would_be_seen(
    folder: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = corpus[".npz"][0]
    asked = sample.asked[0]
    path = uri(folder / "corpus", sample)
    valid = read_events(path, **asked)
    digests = {key_of(sample.name, asked): valid.digest}
    case = Case("read_events", asked, typed=path, covered=True, sample=sample)

    def seen(answer: Any) -> str:  # noqa: ANN401  (an error to raise, or what is returned)
        def read(*_: object, **__: object) -> Events:
            if isinstance(answer, BaseException):
                raise answer
            assert isinstance(answer, Events)
            return answer

        monkeypatch.setitem(outcomes._CALLS, "read_events", read)
        return compared(outcome_of(case), case, digests).kind

    assert seen(valid) == "same"
    assert seen(Events(valid.x + 1.0)) == "silent"
    assert seen(TypeError("a parser's own")) == "raw"
    assert seen(InputError("file", got="a", expected="b")) == "told"
    broken = Events(valid.x)
    object.__setattr__(broken, "x", np.full_like(valid.x, np.nan))
    assert seen(broken) == "invalid"
    assert set(FAULTS) > {"raw", "silent", "invalid"}
