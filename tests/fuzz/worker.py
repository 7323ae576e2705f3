"""``python -m fuzz.worker``: reads many inputs in one process, and says a line about each.

The process limits itself: address space, processor time and time of each input.  The driver
learns from the signal that ended it what happened.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import json
import resource
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from fuzz.cases import VALUES, WORDS, Case, case_of
from fuzz.corpus import Sample, read_corpus
from fuzz.faults import keep_fault
from fuzz.outcomes import FAULTS, Outcome, compared, key_of, outcome_of
from verisimile.core.errors import InputError
from verisimile.data.files import read_events

_GIB = 2**30
_SPACE = 4 * _GIB  # of addresses, above what the interpreter has: the machine is others' too
_WAIT = 12  # seconds of waiting for one of processor time

_LIBRARIES = ("h5py", "uproot", "awkward", "pandas", "polars", "torch", "astropy.io.fits")


def main() -> None:
    """Read inputs ``first`` to ``last`` of a kind; one line of JSON about each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--cpu", type=int, required=True, help="seconds for each input")
    parser.add_argument("--peak", type=int, required=True, help="MiB for each input")
    told = parser.parse_args()
    sys.setrecursionlimit(1000)
    faulthandler.enable()
    told.scratch.mkdir(parents=True, exist_ok=True)
    corpus = read_corpus(told.folder / "corpus")
    # Libraries print; what the driver reads is nobody else's.
    lines, sys.stdout = sys.stdout, sys.stderr
    limited = False
    for line in sys.stdin:
        kind, first, last = json.loads(line)
        # What is slow for the first input, and would count as its time.
        if kind == VALUES:
            for name in _LIBRARIES:
                importlib.import_module(name)
        wanted = corpus if kind == WORDS else {kind: corpus.get(kind, [])}
        digests = _digests(told.folder / "corpus", wanted)
        if not limited:
            allowed = _pages() + _SPACE
            resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))
            limited = True
        for number in range(first, last):
            _limit_time(told.cpu)
            case = case_of(kind, number, told.seed, corpus, told.scratch)
            _say(lines, {"number": number})
            found, measured = _tried(case, digests, told.scratch, told.peak * 2**20)
            if found.kind in FAULTS:
                keep_fault(told.folder, kind, number, told.seed, case, found)
            _say(lines, {"kind": found.kind, "about": found.about, **measured})
        signal.alarm(0)
        resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        _say(lines, {"end": last})


def _say(lines: TextIO, record: Mapping[str, object]) -> None:
    lines.write(json.dumps(record) + "\n")
    lines.flush()


def _tried(
    case: Case, digests: Mapping[str, str], scratch: Path, most: int
) -> tuple[Outcome, dict[str, float]]:
    path = scratch / case.name
    if case.name:
        path.write_bytes(case.content)
    _forget_peak()
    before, start = _peak(), time.process_time()
    found = compared(outcome_of(case), case, digests)
    seconds, peak = time.process_time() - start, _peak() - before
    if found.kind not in FAULTS and peak > most:
        found = Outcome("memory", f"{peak / _GIB:.2f} GiB")
    if case.name:
        path.unlink(missing_ok=True)
    return found, {"seconds": seconds, "peak": peak}


def _digests(folder: Path, corpus: Mapping[str, Sequence[Sample]]) -> dict[str, str]:
    """Return the digest of each valid file's events; without those that are refused as they are."""
    found = {}
    for sample in (each for samples in corpus.values() for each in samples):
        uri = str(folder / sample.name) + (f":{sample.part}" if sample.part else "")
        for asked in sample.asked:
            try:
                found[key_of(sample.name, asked)] = read_events(uri, **asked).digest
            except InputError:
                continue
    return found


def _limit_time(seconds: int) -> None:
    """End this process if the next input takes longer; what it waits for counts less."""
    used = int(time.process_time()) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (used, resource.RLIM_INFINITY))
    signal.alarm(_WAIT * seconds)


def _pages() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _forget_peak() -> None:
    """Let the peak of memory start from here, where the system can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak() -> int:
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    main()
