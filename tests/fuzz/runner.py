"""Runs inputs in limited processes, starts another where one ends, and keeps what is finished."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import fuzz
import verisimile
from fuzz.cases import VALUES, case_of, kinds_of
from fuzz.corpus import read_corpus, write_corpus
from fuzz.faults import fault_place, keep_fault
from fuzz.outcomes import FAULTS, Class, Outcome

_CHUNK = 250
_HANGS = {signal.SIGXCPU, signal.SIGALRM}

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is tried: how many inputs of which kinds, and where the outcome is kept.

    `cpu` seconds and `peak` MiB are what one input may take.
    """

    folder: Path
    seed: int
    inputs: int
    kinds: tuple[str, ...] = ()
    workers: int = 1
    cpu: int = 5
    peak: int = 2048


@dataclass(slots=True)
class Chunk:
    """Inputs `first` to `last` of a kind, and what became of them."""

    kind: str
    first: int
    last: int
    seed: int
    code: str
    counts: dict[str, int] = field(default_factory=dict)
    causes: dict[str, int] = field(default_factory=dict)
    peak: int = 0
    slowest: float = 0.0
    faults: list[dict[str, str]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What its record is called; other code or another seed makes another."""
        return f"{self.kind.lstrip('.')}-{self.first}-{self.last}-{self.seed}-{self.code[:12]}.json"

    def count(self, found: Outcome) -> None:
        """Count one more input."""
        self.counts[found.kind] = self.counts.get(found.kind, 0) + 1
        if found.kind == "told" and found.about:
            self.causes[found.about] = self.causes.get(found.about, 0) + 1


@cache
def code_digest() -> str:
    """Return the sha256 of what reads events and of what tries it."""
    package, own = (Path(str(each.__file__)).parent for each in (verisimile, fuzz))
    found = hashlib.sha256()
    for path in sorted([*(package / "data").rglob("*.py"), *(package / "core").rglob("*.py"),
                        *own.rglob("*.py")]):  # fmt: skip
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()


def run_plan(plan: Plan, say: Say) -> list[Chunk]:
    """Try all inputs of a plan; those of an earlier run of the same code are not tried again."""
    write_corpus(plan.folder / "corpus")
    kinds = plan.kinds or tuple(kinds_of(read_corpus(plan.folder / "corpus")))
    chunks = list(_chunks(plan, kinds))
    (plan.folder / "chunks").mkdir(parents=True, exist_ok=True)
    readers: SimpleQueue[Reader] = SimpleQueue()
    for _ in range(plan.workers):
        readers.put(Reader(plan))

    def done(chunk: Chunk) -> Chunk:
        reader = readers.get()
        try:
            return _done(plan, reader, chunk, say)
        finally:
            readers.put(reader)

    try:
        with ThreadPoolExecutor(plan.workers) as pool:
            return list(pool.map(done, chunks))
    finally:
        for _ in range(plan.workers):
            readers.get().close()


def _chunks(plan: Plan, kinds: Sequence[str]) -> Iterator[Chunk]:
    each = -(-plan.inputs // len(kinds))
    for first in range(0, each, _CHUNK):
        for kind in kinds:
            yield Chunk(kind, first, min(first + _CHUNK, each), plan.seed, code_digest())


def _done(plan: Plan, reader: Reader, chunk: Chunk, say: Say) -> Chunk:
    record = plan.folder / "chunks" / chunk.name
    if record.exists():
        return Chunk(**json.loads(record.read_text(encoding="utf-8")))
    first = chunk.first
    while first < chunk.last:
        first = _tried(plan, reader, chunk, first, say)
    record.write_text(json.dumps(asdict(chunk), indent=1), encoding="utf-8")
    say(f"{chunk.kind} {chunk.first}-{chunk.last}: {chunk.counts}")
    return chunk


class Reader:
    """A process that reads inputs until one of them ends it; then another is started."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._process: subprocess.Popen[str] | None = None
        self._scratch = Path(tempfile.mkdtemp(prefix="fuzz-"))
        self._noise = self._scratch / "noise"

    def answers(self, kind: str, first: int, last: int) -> Iterator[dict[str, Any]]:
        """Yield what the process says about these inputs, as many as it comes to."""
        if self._process is None:
            self._process = self._started()
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([kind, first, last]) + "\n")
        process.stdin.flush()
        for line in process.stdout:
            told = json.loads(line)
            if "end" in told:
                return
            yield told
        process.stdin.close()
        process.stdout.close()
        code = process.wait()
        self._process = None
        ended = signal.Signals(-code).name if code < 0 else f"exit {code}"
        hang = code < 0 and signal.Signals(-code) in _HANGS
        text = self._noise.read_bytes()[-3000:].decode(errors="replace")
        yield {"kind": "hang" if hang else "crash", "about": f"{ended}\n{text}"}

    def _started(self) -> subprocess.Popen[str]:
        command = [
            *(sys.executable, "-m", "fuzz.worker"),
            *(str(self._plan.folder.resolve()), str(self._scratch / "in")),
            *(f"--seed={self._plan.seed}", f"--cpu={self._plan.cpu}", f"--peak={self._plan.peak}"),
        ]
        with self._noise.open("wb") as noise:
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=noise,
                text=True,
                env=_environment(),
                cwd=self._scratch,
            )

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.communicate()
            self._process = None
        shutil.rmtree(self._scratch, ignore_errors=True)


def _tried(plan: Plan, reader: Reader, chunk: Chunk, first: int, say: Say) -> int:
    """Try inputs from `first` on; return the first that is left, after one that ended it all."""
    number, waiting = first - 1, False
    for told in reader.answers(chunk.kind, first, chunk.last):
        if "number" in told:
            number, waiting = int(told["number"]), True
            continue
        if not waiting:
            raise RuntimeError(f"no input {chunk.kind} {number + 1} was made: {told['about']}")
        _note(plan, chunk, number, told, say)
        waiting = False
    return number + 1


def _note(plan: Plan, chunk: Chunk, number: int, told: dict[str, Any], say: Say) -> None:
    kind: Class = told["kind"]
    found = Outcome(kind, told["about"])
    chunk.count(found)
    chunk.peak = max(chunk.peak, int(told.get("peak", 0)))
    chunk.slowest = max(chunk.slowest, float(told.get("seconds", 0.0)))
    if kind not in FAULTS:
        return
    ended = kind in ("hang", "crash")
    place = fault_place(plan.folder, chunk.kind, number)
    if ended:  # the process had no time to keep it
        corpus = read_corpus(plan.folder / "corpus")
        made = chunk.kind != VALUES
        case = case_of(chunk.kind, number, plan.seed, corpus, plan.folder) if made else None
        keep_fault(plan.folder, chunk.kind, number, plan.seed, case, found)
    about = found.about.strip().splitlines() or [""]
    line = about[0 if ended else -1]
    chunk.faults.append({"number": str(number), "kind": kind, "about": line})
    say(f"{kind}: {line[:200]}\n  python -m fuzz --replay {place}")


def _environment() -> dict[str, str]:
    """Return an environment of one thread, and of an allocator that reserves nothing."""
    quiet = {
        "OMP_NUM_THREADS": "1",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "RUST_BACKTRACE": "0",
    }
    return {**os.environ, **quiet, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
