"""Inputs that had a fault, kept as files, and read again alone."""

from __future__ import annotations

import json
from pathlib import Path

from fuzz.cases import Case, case_of
from fuzz.corpus import Asked, read_corpus
from fuzz.outcomes import Outcome, outcome_of

_CASE = "case.json"


def fault_place(folder: Path, kind: str, number: int) -> Path:
    """Return where an input with a fault is kept."""
    return folder / "faults" / f"{kind.lstrip('.')}-{number}"


def keep_fault(
    folder: Path, kind: str, number: int, seed: int, case: Case | None, found: Outcome
) -> None:
    """Keep what became of an input, and its file; None is made again from the seed."""
    place = fault_place(folder, kind, number)
    place.mkdir(parents=True, exist_ok=True)
    described = {
        "kind": kind,
        "number": number,
        "seed": seed,
        "outcome": found.kind,
        "about": found.about,
        "replay": f"python -m fuzz --replay {place}",
    }
    if case is not None and case.name:
        (place / case.name).write_bytes(case.content)
    if case is not None:
        described |= {
            "call": case.call,
            "asked": _plain(case.asked),
            "value": repr(case.value)[:2000],
            "name": case.name,
            "part": case.sample.part if case.sample is not None else None,
        }
    (place / _CASE).write_text(json.dumps(described, indent=1), encoding="utf-8")


def _plain(asked: Asked) -> Asked | None:
    """Return keywords if JSON holds them as they are; None for odd types, made from the seed."""
    try:
        same = json.loads(json.dumps(asked, allow_nan=False)) == asked
    except (TypeError, ValueError):
        return None
    return asked if same else None


def replayed(place: Path) -> Outcome:
    """Read an input of ``folder/faults`` again, in this process and without limits."""
    told = json.loads((place / _CASE).read_text(encoding="utf-8"))
    folder = place.parent.parent
    corpus = read_corpus(folder / "corpus")
    if told["kind"] in corpus and told.get("asked") is not None:
        typed = str(place / told["name"]) + (f":{told['part']}" if told["part"] else "")
        content = (place / told["name"]).read_bytes()
        return outcome_of(Case(told["call"], told["asked"], None, told["name"], content, typed))
    case = case_of(told["kind"], told["number"], told["seed"], corpus, place)
    return outcome_of(case)
