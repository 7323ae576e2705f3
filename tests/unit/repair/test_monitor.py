from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import verisimile as vs
from monitor_study import night, watched
from verisimile.core.errors import InputError, StoreError
from verisimile.validation.monitor import monitor, read_state


def test_a_drift_of_one_per_cent_is_found() -> None:
    found = watched(1, 40, 500, scale=1.01, since=10)
    assert found.alarm
    assert 11 < len(found.nights) < 30
    assert max(found.moved, key=lambda name: abs(found.moved[name])) == "x0"
    assert found.moved["x0"] > 3.0


def test_a_surrogate_that_is_right_is_left_alone() -> None:
    found = watched(2, 30, 200)
    assert not found.alarm
    assert len(found.nights) == 30
    assert found.log_e.shape == (30,)


def test_evidence_has_mean_one_under_the_null() -> None:
    """A martingale: after six nights the mean of e is one, of 150 states, within three errors."""
    values = []
    for seed in range(150):
        found = watched(100 + seed, 6, 60)
        values.append(math.exp(found.nights[-1].log_e))
    error = np.std(values, ddof=1) / math.sqrt(len(values))
    assert abs(np.mean(values) - 1.0) < 3.0 * error


def test_the_state_of_the_night_before_survives_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, path = np.random.default_rng(3), tmp_path / "s"
    nights = [night(rng, 100) for _ in range(4)]
    for each in nights[:3]:
        monitor(path, *each)
    before = path.read_bytes()

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", killed)
        with pytest.raises(KeyboardInterrupt):
            monitor(path, *nights[3])
    assert path.read_bytes() == before
    whole = tmp_path / "whole"
    for each in nights:
        uninterrupted = monitor(whole, *each)
    assert monitor(path, *nights[3]).nights == uninterrupted.nights


def test_events_that_come_again_are_refused(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(4), tmp_path / "s"
    first, second = night(rng, 300), night(rng, 300)
    monitor(path, *first)
    mixed = np.concatenate([first[0][:150], second[0][:150]])
    with pytest.raises(InputError, match="events of night 1 again"):
        monitor(path, mixed, second[1])
    with pytest.raises(InputError, match="events of night 1 again"):
        monitor(path, second[0], first[1])


def test_the_last_night_given_again_changes_nothing(tmp_path: Path) -> None:
    """A command that was killed after its state was written is repeated as it was."""
    rng, path = np.random.default_rng(7), tmp_path / "s"
    nights = [night(rng, 100) for _ in range(3)]
    for each in nights:
        said = monitor(path, *each)
    before = path.read_bytes()
    assert monitor(path, *nights[-1]).nights == said.nights
    assert path.read_bytes() == before
    with pytest.raises(InputError, match="events of night 2 again"):
        monitor(path, *nights[1])


@pytest.mark.parametrize("values", [5, 40])
def test_rows_of_counts_come_again_by_chance(tmp_path: Path, values: int) -> None:
    """Features of few values repeat rows every night; they are no events of another night."""
    rng, path = np.random.default_rng(8), tmp_path / "s"

    def counts() -> tuple[np.ndarray, np.ndarray]:
        x, y = rng.integers(values, size=(2, 400, 2)).astype(float)
        return x, y

    for _ in range(12):
        found = monitor(path, *counts())
    assert len(found.nights) == 12
    assert not found.alarm


@pytest.mark.parametrize("content", [b"", b"x" * 200, b"\x10\0\0\0\0\0\0\0{}              "])
def test_a_file_that_is_no_state_is_an_error_and_stays(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "s"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="no state of a monitor"):
        monitor(path, *night(np.random.default_rng(5), 100))
    assert path.read_bytes() == content


def test_other_features_levels_weights_and_few_events_are_refused(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(6), tmp_path / "s"
    monitor(path, *night(rng, 100))
    with pytest.raises(InputError, match="first night"):
        monitor(path, *night(rng, 100, d=3))
    with pytest.raises(InputError, match="that of the first night"):
        monitor(path, *night(rng, 100), level=0.01)
    x, y = night(rng, 100)
    with pytest.raises(InputError, match="weights"):
        monitor(path, vs.Events(x, weights=np.linspace(1.0, 2.0, 100)), y)
    with pytest.raises(InputError, match="20 events"):
        monitor(path, x[:20], y)
    state = read_state(path)
    assert state is not None
    assert len(state.nights) == 1
