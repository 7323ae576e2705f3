"""What makes a task the same task, and how its errors travel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from verisimile.core.errors import InputError, SupportError
from verisimile.core.random import Seeds
from verisimile.core.records import Payload, Receipt
from verisimile.core.store import MemoryStore
from verisimile.core.tasks import Call, Failure, Task, Work, failure, fingerprint, perform

TASK = Task("a", {"n": 3, "rate": 0.1}, Seeds(1).at("x"))


def test_fingerprint_is_the_published_one() -> None:
    # A change would make every stored record of every user stale.
    assert fingerprint("stage", TASK, 1) == (
        "c2b5030aa777f994e1d59be724b05eedaf01c0f7a610eab4c3e493ec26a76f7a"
    )


def test_fingerprint_ignores_address_order_and_arguments() -> None:
    same = Task("b", {"rate": 0.1, "n": 3}, Seeds(1).at("x"), (1, 2))
    assert fingerprint("stage", same, 1) == fingerprint("stage", TASK, 1)


@pytest.mark.parametrize(
    ("label", "task", "schema"),
    [
        pytest.param("other", TASK, 1, id="label"),
        pytest.param("stage", TASK, 2, id="schema"),
        pytest.param("stage", Task("a", {"n": 4, "rate": 0.1}, TASK.seeds), 1, id="config"),
        pytest.param("stage", Task("a", {"n": 3, "rate": math.nan}, TASK.seeds), 1, id="nan"),
        pytest.param("stage", Task("a", TASK.config, Seeds(2).at("x")), 1, id="entropy"),
        pytest.param("stage", Task("a", TASK.config, Seeds(1).at("x", 0)), 1, id="path"),
    ],
)
def test_fingerprint_depends_on_what_determines_the_outcome(
    label: str, task: Task, schema: int
) -> None:
    assert fingerprint(label, task, schema) != fingerprint("stage", TASK, 1)


def test_fingerprint_tells_paths_with_the_same_text_apart() -> None:
    joined, split = (Task("a", {}, Seeds(1).at(*words)) for words in (("a/b",), ("a", "b")))
    assert str(joined.seeds) == str(split.seeds)
    assert fingerprint("stage", joined, 1) != fingerprint("stage", split, 1)


def test_config_that_is_not_json_is_refused() -> None:
    task = Task("a", {"x": np.zeros(3)}, Seeds(1))  # type: ignore[dict-item]
    with pytest.raises(InputError, match=r"task a\.config\.x: got a ndarray"):
        fingerprint("stage", task, 1)


def _count(seeds: Seeds, calls: list[int]) -> Payload:
    calls.append(1)
    return Payload({"n": np.array(len(calls))})


def test_a_later_attempt_uses_the_record_of_an_earlier_one() -> None:
    store, calls = MemoryStore(), list[int]()
    work = Work(_count, "stage", store)
    call = Call(0, Task("a", {}, Seeds(1), (calls,)), "f")
    first = perform(work, call, 1)
    assert isinstance(first, Receipt)
    assert perform(work, call, 2) == first
    assert len(calls) == 1
    perform(work, call, 1)
    assert len(calls) == 2


def _raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except Exception as caught:
        return caught


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (SupportError("x", got="1", expected="2", remedy="3."), "x: got 1; expected 2. 3."),
        (ValueError("odd"), "odd (test_tasks.py in _raised)"),
        (ValueError(), "no message (test_tasks.py in _raised)"),
    ],
)
def test_message_says_what_and_where(error: Exception, message: str) -> None:
    found = failure(Call(0, TASK, "f"), _raised(error), 2)
    assert isinstance(found, Failure)
    assert (found.address, found.kind, found.attempts) == ("a", type(error).__name__, 2)
    assert _without_place(found.message) == message


def test_message_names_the_cause() -> None:
    error: Any = _raised(ValueError("odd"), KeyError("deep"))
    found = failure(Call(0, TASK, "f"), error, 1)
    assert _without_place(found.message) == "odd; 'deep' (test_tasks.py in _raised)"


def _without_place(message: str) -> str:
    import re

    return re.sub(r"\(.*/(\w+\.py):\d+ in", r"(\1 in", message)
