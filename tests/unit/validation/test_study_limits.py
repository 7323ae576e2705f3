"""A study file ends in a study or in a named error, whatever it holds, and soon."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from verisimile.core.errors import InputError
from verisimile.validation.study import Study, read_study
from verisimile.validation.study_file import read_tables

LAUGHS = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
)
MERGES = "\n".join(
    ["m0: &m0 {k: 1}"] + [f"m{i}: &m{i} {{<<: [*m{i - 1}, *m{i - 1}]}}" for i in range(1, 60)]
)
CHAIN = "\n".join(["c0: &c0 [x]"] + [f"c{i}: &c{i} [*c{i - 1}]" for i in range(1, 300)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "study"


def written(file: Path, suffix: str, text: str | bytes) -> Path:
    path = file.with_suffix(suffix)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    ("suffix", "text", "message"),
    [
        (".yaml", LAUGHS, r"line 6: got \d+ values, its aliases written out"),
        (".yaml", MERGES, "its aliases written out"),
        (".yaml", CHAIN, "more than 64 levels"),
        (".yaml", "a: &a [*a]", "line 1: got an alias of itself"),
        (".yaml", "level: 0.1\ntitle: x\nlevel: 0.2", "line 3: got the key 'level', which line 1"),
        (".yaml", "samples:\n  cut: x\n  cut: y", "line 3: got the key 'cut', which line 2"),
        (".yaml", "title: !!python/name:os.system x", "line 1: got the tag"),
        (".yaml", "title: !mine x", "line 1: got the tag !mine"),
        (".yaml", "[" * 100_000, "line 1: got more; expected at most 64 levels"),
        (".yaml", "x: " + "{a: " * 100_000, "at most 64 levels"),
        (".yaml", f"seed: {'9' * 5000}", "4300 digits"),
        (".yaml", f"seed: 0x{'f' * 5000}", "more than 4300 digits"),
        (".yaml", "a: 2001-99-99", "month"),
        (".yaml", "- x\n" * 250_000, "at most 100000 values"),
        (".yaml", "a: 1\n---\nb: 2", "document"),
        (".yaml", "? {a: 1}\n: 2", "unhashable"),
        (".toml", f"a = {'[' * 3000}{']' * 3000}", "more than 64 levels"),
        (".toml", f"a = {'[' * 70}{']' * 70}", "more than 64 levels"),
        (".toml", "x." * 500_000 + "x = 1", "dots in it; expected at most 64 levels"),
        (".toml", f"x = {{ {'a.' * 500_000}a = 1 }}", "dots in it"),
        (".toml", f"seed = {'9' * 5000}", "4300 digits"),
        (".toml", f"seed = 0x{'f' * 5000}", "more than 4300 digits"),
        (".toml", "level = 0.1\nlevel = 0.2", "overwrite"),
        (".toml", "#" * (2**20 + 1), "expected at most 1 MiB of text"),
        (".toml", b"title = '\xff'", "utf-8"),
    ],
)
def test_what_is_beyond_any_study_is_refused_by_name(
    file: Path, suffix: str, text: str | bytes, message: str
) -> None:
    path = written(file, suffix, text)
    with pytest.raises(InputError, match=message) as told:
        read_study(path)
    assert str(told.value).startswith(str(path))
    assert len(str(told.value)) < 600


def test_a_device_that_never_ends_is_refused(file: Path) -> None:
    path = file.with_suffix(".toml")
    path.symlink_to("/dev/zero")
    with pytest.raises(InputError, match="at most 1 MiB"):
        read_study(path)


def test_aliases_and_merges_within_the_limits_are_what_they_stand_for(file: Path) -> None:
    text = "a: &a [m, pt]\nb: *a\nc: &c {x: 1, y: 2}\nd: {<<: *c, y: 3}"
    assert read_tables(written(file, ".yaml", text)) == {
        "a": ["m", "pt"],
        "b": ["m", "pt"],
        "c": {"x": 1, "y": 2},
        "d": {"x": 1, "y": 3},
    }


@pytest.mark.parametrize("suffix", [".toml", ".yaml"])
def test_an_empty_file_is_a_study_of_defaults(file: Path, suffix: str) -> None:
    assert read_study(written(file, suffix, "")) == Study()


SEEDS = {
    ".toml": 'title = "N"\nlevel = 0.01\n[samples]\nreference = "t.csv"\nfeatures = ["m", "pt"]\n'
    '[thresholds]\nauc = { max = 0.55 }\n"chi2/m" = { max = 2.0 }\n',
    ".yaml": "title: N\nlevel: 0.01\nsamples:\n  reference: t.csv\n  features: &f [m, pt]\n"
    "  ignore: *f\nthresholds:\n  auc: {max: 0.55}\n  chi2/m: {max: 2.0}\n",
}
PIECES = [
    *("[", "]", "{", "}", ":", "=", ",", "\n", "  ", '"', "'", "#", "&a", "*a", "!x", "<<: ", "|"),
    *("? ", "- ", "...", "---", "%YAML", "\0", "\xff", "\ud7ff", "9" * 5000, "1e999", "nan", "-1"),
    *("0x1", "~", "null", "2001-01-01", "[[", "[a.b]", '"""', "\\", "\t", "level", "seed = 1"),
]


@pytest.mark.parametrize("suffix", [".toml", ".yaml"])
def test_damaged_files_end_in_a_study_or_a_named_error(file: Path, suffix: str) -> None:
    rng = random.Random(17)
    told = 0
    for _ in range(1000):
        text = SEEDS[suffix]
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(text) + 1)
            cut = rng.choice([0, 0, 1, 7])
            text = text[:at] + rng.choice([*PIECES, text[: rng.randrange(40)]]) + text[at + cut :]
        try:
            read_study(written(file, suffix, text))
        except InputError:
            told += 1
    assert 300 < told < 1000
