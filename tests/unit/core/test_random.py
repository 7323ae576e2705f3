"""A stream depends on its path alone."""

from __future__ import annotations

import numpy as np
import pytest

from statistical import assert_within
from verisimile.core.errors import InputError
from verisimile.core.random import Seeds


def test_streams_are_the_published_ones() -> None:
    # Numbers that users have written down must not change between versions.
    assert Seeds(2026).at("member", 17).numpy().integers(1000) == 832
    assert str(Seeds(2026).at("member", 17)) == "2026:member/#17"


def test_a_stream_does_not_depend_on_what_was_drawn_before() -> None:
    root = Seeds(5)
    first = root.at("a", 3).numpy().normal(size=4)
    for index in range(10):
        root.at("a", index).numpy().normal(size=index)
    np.testing.assert_array_equal(root.at("a", 3).numpy().normal(size=4), first)


def test_paths_compose() -> None:
    assert Seeds(1).at("a").at(2, "b") == Seeds(1).at("a", 2, "b")
    assert Seeds(1).at("a", np.int64(2)) == Seeds(1).at("a", 2)  # type: ignore[arg-type]


def test_different_paths_are_different_streams() -> None:
    root = Seeds(1)
    paths = [root, root.at("a"), root.at("b"), root.at(1), root.at("1"), root.at("a", "b")]
    paths += [root.at("ab"), root.at("b", "a"), Seeds(2), Seeds(2).at("a"), root.at("a/b")]
    assert len({seeds.integer() for seeds in paths}) == len(paths)


def test_neighbouring_streams_are_uncorrelated() -> None:
    n = 100_000
    x, y = (Seeds(3).at("toy", index).numpy().normal(size=n) for index in (0, 1))
    assert_within(float(np.mean(x * y)), 0.0, 1 / np.sqrt(n))


def test_integers_fit_where_seeds_are_expected() -> None:
    values = [Seeds(0).at(index).integer() for index in range(200)]
    assert min(values) >= 0
    assert max(values) < 2**63
    assert max(values) > 2**61


@pytest.mark.parametrize("entropy", [-1, 1.5, "1", None, True])
def test_entropy_is_a_non_negative_integer(entropy: int) -> None:
    with pytest.raises(InputError, match=r"Seeds\.entropy"):
        Seeds(entropy)


def test_torch_streams_follow_the_path_and_leave_the_global_stream() -> None:
    torch = pytest.importorskip("torch")
    before = torch.get_rng_state()
    draws = [torch.rand(3, generator=Seeds(9).at(word).torch()) for word in ("a", "a", "b")]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_word_that_looks_like_a_number_is_another_stream() -> None:
    paths = [Seeds(1).at(word).path for word in (1, "1", "#1", "\\#1")]
    assert len(set(paths)) == len(paths)
