"""The entropy label has the published ends and the bound between them."""

from __future__ import annotations

import re

import pytest

from verisimile.checks.amplification.study import entropy_label
from verisimile.core.errors import InputError


@pytest.mark.parametrize("n_train", [100, 10_000])
def test_ends(n_train: int) -> None:
    finest = entropy_label(n_train=n_train, n_generated=n_train)
    coarsest = entropy_label(n_train=n_train, n_generated=round(n_train**1.5))
    assert finest.exponent == 2.0
    assert finest.oversampling == 1.0
    assert coarsest.exponent == pytest.approx(3.0, abs=1e-12)
    assert coarsest.oversampling == pytest.approx(coarsest.largest_gain)
    assert coarsest.bins == pytest.approx(n_train**0.5)


def test_oversampling_is_the_gain_of_its_exponent() -> None:
    label = entropy_label(n_train=1000, n_generated=7000)
    assert label.oversampling == pytest.approx(1000 ** (label.exponent / 2 - 1))


@pytest.mark.parametrize(
    ("generated", "words"),
    [
        (50, "fewer events"),
        (500, "within"),
        (1000, "within"),
        (2000, "beyond the entropy bound of 1000 events"),
    ],
)
def test_sentence(generated: int, words: str) -> None:
    sentence = entropy_label(n_train=100, n_generated=generated).sentence
    assert re.search(words, sentence)
    assert "knows nothing of the generator" in sentence


def test_sizes_are_checked() -> None:
    with pytest.raises(InputError, match="1 training"):
        entropy_label(n_train=1, n_generated=5)
