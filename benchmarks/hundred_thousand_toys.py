"""Whether 100 000 toys on two dask workers, and by eight shards, are the same bytes.

Three Gaussian members, n = 1 000 events in two features, four kernels.  One run folder for each
way; the digest is that of all statistics.  `--toys 2000` is quick.  CPU is that of the driver and
of its workers; of it, serial toys without any folder are the part that is the toys' own.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import verisimile as vs
from analytic import Blend
from verisimile.core.shards import Shard, ShardDone

EVENTS, OWN, SHARDS = 1000, 500, 8


def digest(run: vs.Run, toys: int) -> str:
    """Throw toys and return the hash of their statistics."""
    rng = vs.Seeds(6).numpy()
    members = [
        Blend(rng.normal(0.0, 0.3, (1, 2)), np.array([[1.0, 1.0 + 0.1 * k]]), np.ones(1))
        for k in range(3)
    ]
    x = vs.Seeds(5).at("weights").numpy().normal(size=(1000, 2))
    fit = vs.fit_weights(np.stack([member.log_prob(x) for member in members], axis=1))
    events = vs.Events(vs.Seeds(5).at("test").numpy().normal(size=(EVENTS, 2)), names=("a", "b"))
    found = vs.goodness_of_fit(
        run,
        vs.Mixture(members, fit, features=events.features),
        events,
        alternative=vs.GaussianKernels(count=4, width=0.7),
        toys=toys,
    )
    return hashlib.sha256(np.ascontiguousarray(found.toys).tobytes()).hexdigest()[:16]


def files(folder: str) -> int:
    """Return how many files there are."""
    return sum(path.is_file() for path in Path(folder).rglob("*"))


def cpu() -> float:
    """Return CPU seconds of this process, its children that ended and those that are there."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime
    for child in psutil.Process().children(recursive=True):
        times = child.cpu_times()
        total += times.user + times.system
    return total


def report(
    way: str, toys: int, own: float, spent: float, wall: float, there: int, key: str
) -> None:
    """Print one line."""
    over = (spent - own * toys) / toys * 1e3
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{way:16}{toys:8d} toys {wall:7.0f} s, CPU {spent:7.0f} s,"
        f" beyond the toys {over:6.2f} ms each, {there:5d} files,"
        f" driver at most {peak:5.0f} MiB  {key}",
        flush=True,
    )


def part(folder: str, number: int, toys: int) -> None:
    """Do one shard, in a process of its own."""
    run = vs.Run(vs.Seeds(1), store=folder, shard=Shard(number, SHARDS))
    try:
        digest(run, toys)
    except ShardDone:
        return


def main() -> None:
    """Throw them all three ways."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--toys", type=int, default=100_000)
    parser.add_argument("--shard", default="")
    parser.add_argument("--folder", default="")
    options = parser.parse_args()
    if options.shard:
        part(options.folder, int(options.shard), options.toys)
        return
    digest(vs.Run(vs.Seeds(1)), 20)  # imports
    began = time.process_time()
    digest(vs.Run(vs.Seeds(1)), OWN)
    own = (time.process_time() - began) / OWN
    print(f"toys alone: {own * 1e3:.2f} ms of CPU each ({OWN} serial ones)", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        wall, spent = time.perf_counter(), cpu()
        run = vs.Run(vs.Seeds(1), executor="dask:local:2", store=folder)
        key = digest(run, options.toys)
        spent = cpu() - spent
        run.executor.abort()
        wall = time.perf_counter() - wall
        report("dask:local:2", options.toys, own, spent, wall, files(folder), key)
    with tempfile.TemporaryDirectory() as folder:
        wall, spent = time.perf_counter(), cpu()
        words = [sys.executable, __file__, "--toys", str(options.toys), "--folder", folder]
        for first in range(1, SHARDS + 1, 2):
            pair = [
                subprocess.Popen([*words, "--shard", str(k)], env=os.environ)
                for k in (first, first + 1)
            ]
            if any(process.wait() for process in pair):
                raise SystemExit("a shard failed")
        key = digest(vs.Run(vs.Seeds(1), store=folder), options.toys)
        wall, spent = time.perf_counter() - wall, cpu() - spent
        report(f"{SHARDS} shards", options.toys, own, spent, wall, files(folder), key)


if __name__ == "__main__":
    main()
