"""The compiled library: found where it was made, left alone where it does not fit."""

from __future__ import annotations

import pkgutil
from pathlib import Path

import numpy as np
import pytest

import verisimile.core
from verisimile.core import native


@pytest.fixture
def unloaded() -> None:
    native._loaded.cache_clear()


def test_it_is_not_used_where_the_environment_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VERISIMILE_NATIVE", "0")
    assert native.library() is None
    assert not native.available()


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize("content", [None, b"", b"no library at all"])
def test_what_is_no_library_is_left_alone(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if content is not None:
        (tmp_path / "native.plain.so").write_bytes(content)
    monkeypatch.setattr(native, "_PLACE", tmp_path)
    assert native.library() is None
    native._loaded.cache_clear()


@pytest.mark.usefixtures("unloaded")
@pytest.mark.skipif(not native.available(), reason="no compiled library here")
def test_a_library_of_older_sources_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    native._loaded.cache_clear()
    monkeypatch.setattr(native, "_INTERFACE", -1)
    assert native.library() is None
    native._loaded.cache_clear()


def test_it_is_no_module_of_python() -> None:
    names = [module.name for module in pkgutil.iter_modules(verisimile.core.__path__)]
    assert [name for name in names if name.startswith("native")] == ["native"]


def test_only_contiguous_arrays_have_an_address() -> None:
    with pytest.raises(ValueError, match="not contiguous"):
        native.pointer(np.zeros((4, 4))[:, ::2])
