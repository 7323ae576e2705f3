"""One cell row of the table of faults: an executor, a fault in each stage, and what came of it.

``python -m fire.scenario FAULT EXECUTOR FOLDER`` prints one line of JSON.  Processes are children
of this one, and it ends only these.  Faults of the disk need a name space of mounts of their own:
``unshare --map-root-user --mount python -m ...``.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import verisimile as vs
from fire import study, traps
from fire.mounts import mount_small, remount
from verisimile.core import dispatch
from verisimile.core.errors import VerisimileError
from verisimile.core.shards import Shard

EXECUTORS = ("serial", "loky:2", "dask", "shards")
FAULTS = (
    "kill-worker", "kill-driver", "kill-scheduler", "terminate", "stop", "fill-disk", "read-only",
    "no-memory", "poison", "hang", "damage", "two-writers",
)  # fmt: skip
OF_THE_DISK = ("fill-disk", "read-only")
# Calls of the function of each stage in one undisturbed run: members; toys with the blocks of
# drawn events before them; blocks of relabelings; data sets with the pool before them.
STEPS = {"fit": 12, "gof": 242, "validate": 8, "coverage": 126}
PATIENCE = 120.0
_LIMIT = 2.0  # seconds of a task, where one of the scenario does not end
_LATE = 20.0  # seconds after which a worker is ended that did not end its task itself
_SHARDS = 2
_DONE, _NAMED, _DEFECT = 0, 4, 70
"""How a driver ends: with its numbers, with a named error, with a raw one."""


def sensible(fault: str, executor: str) -> bool:
    """Return whether there is such a thing: only dask has a scheduler."""
    return fault != "kill-scheduler" or executor == "dask"


WAITING = (("stop", "loky:2"), ("stop", "dask"), ("hang", "dask"), ("poison", "dask"))
"""Rows in which somebody waits for half a minute, and the processor does not."""


def stages_of(fault: str, executor: str) -> tuple[str, ...]:
    """Return the stages with a trap: one where it costs half a minute of waiting, else all."""
    waits = (
        fault == "stop"
        and executor in ("loky:2", "dask")
        or (fault, executor)
        == (
            "hang",
            "dask",
        )
    )
    return ("gof",) if waits else study.STAGES


@dataclass
class Outcome:
    """What a scenario ended with."""

    digest: str = ""
    ends: list[int] = field(default_factory=list)
    steps: dict[str, int] = field(default_factory=dict)
    sprung: list[str] = field(default_factory=list)


@dataclass
class Scenario:
    """The folders and processes of one row."""

    fault: str
    executor: str
    home: Path
    outcome: Outcome = field(default_factory=Outcome)
    cluster: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def traps(self) -> Path:
        """Where faults wait."""
        return self.home / "traps"

    @property
    def store(self) -> Path:
        """The run folder."""
        return self.home / "small" / "run"

    def run(self) -> Outcome:
        """Do the study with the fault in each stage, and undisturbed to its end."""
        for folder in (self.traps, self.home / "small"):
            folder.mkdir(parents=True)
        os.environ[traps.FOLDER] = str(self.traps)
        (self.traps / "small").write_text(str(self.home / "small"))
        if self.fault in OF_THE_DISK:
            mount_small(self.home / "small", "3m")
        try:
            if self.executor == "dask":
                self.start_cluster()
            {"damage": self.damage, "two-writers": self.two_writers}.get(
                self.fault, self.each_stage
            )()
        finally:
            self.end_cluster()
        self.outcome.steps = {stage: traps.worked(self.traps, stage) for stage in study.STAGES}
        return self.outcome

    def each_stage(self) -> None:
        """Lay a trap in each stage, and come again until all is done."""
        for stage in stages_of(self.fault, self.executor):
            traps.arm(self.traps, stage, self.fault)
        for _ in range(4 * len(study.STAGES)):
            self.outcome.ends.append(self.drive())
            if self.outcome.ends[-1] == _DONE:
                break
            self.mend()
        self.outcome.sprung = [s for s in study.STAGES if traps.sprung(self.traps, s)]

    def damage(self) -> None:
        """Do all, spoil three records, and do all again."""
        self.outcome.ends.append(self.drive())
        _truncate(self.store / "members/0000.safetensors")
        _flip(self.store / "members/0005.json")
        _flip(max(self.store.glob("segments/*.log"), key=lambda path: path.stat().st_size))
        self.outcome.ends.append(self.drive())

    def two_writers(self) -> None:
        """Two drivers at once, and a third of other settings."""
        others = [self.fork(study.STAGES) for _ in range(2)]
        deadline = time.monotonic() + PATIENCE
        while not traps.worked(self.traps, "fit") and time.monotonic() < deadline:
            time.sleep(0.02)
        stranger = self.fork(study.STAGES, seed=study.SEED + 1)
        self.outcome.ends += [self.wait(pid) for pid in (*others, stranger)]
        self.outcome.ends.append(self.drive())

    def drive(self) -> int:
        """Do the study with the executor of the scenario; return how the driver ended."""
        if self.executor == "shards":
            # Each stage needs the one before: the parts of a stage, then the whole of it.
            for number in range(1, len(study.STAGES) + 1):
                stages = study.STAGES[:number]
                for end in self.parts(stages):
                    if end not in (_DONE, _NAMED):
                        return end
                if self.wait(self.fork(stages)) != _DONE:
                    return _NAMED
        return self.wait(self.fork(study.STAGES))

    def parts(self, stages: tuple[str, ...]) -> list[int]:
        """Do the shards of these stages side by side; return how they ended."""
        started = [self.fork(stages, shard=Shard(k, _SHARDS)) for k in range(1, _SHARDS + 1)]
        return [self.wait(pid) for pid in started]

    def fork(
        self, stages: tuple[str, ...], *, seed: int = study.SEED, shard: Shard | None = None
    ) -> int:
        """Start a driver, a copy of this process, which has run nothing yet."""
        if pid := os.fork():
            return pid
        code = _DEFECT
        try:
            signal.signal(signal.SIGTERM, _interrupt)
            if shard is None or shard.number == 1:
                traps_driver = self.traps / "driver"
                traps_driver.write_text(str(os.getpid()))
            code = self.drive_here(stages, seed, shard)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def drive_here(self, stages: tuple[str, ...], seed: int, shard: Shard | None) -> int:
        """Do the stages in this process."""
        limit = _LIMIT if self.fault in ("hang", "stop") else None
        dispatch.LATE_SECONDS = _LATE
        run: vs.Run | None = None
        try:
            run = vs.Run(
                vs.Seeds(seed),
                executor=self.spec(),
                store=self.store,
                shard=shard,
                task_timeout=limit,
            )
            digest = study.perform_stages(run, stages)
        except (VerisimileError, KeyboardInterrupt) as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
            return _NAMED
        finally:
            if run is not None:
                run.executor.abort()
        if stages == study.STAGES and seed == study.SEED:
            (self.home / "digest").write_text(digest)
        return _DONE

    def spec(self) -> str:
        """Return the words for the executor."""
        if self.executor == "dask":
            return f"dask:scheduler-file={self.home / 'scheduler.json'}"
        return "serial" if self.executor == "shards" else self.executor

    def wait(self, pid: int) -> int:
        """Wait for a driver; what was stopped goes on, if it is the driver itself."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
            if found and os.WIFSTOPPED(status):
                time.sleep(0.5)
                os.kill(pid, signal.SIGCONT)
            elif found:
                if (self.home / "digest").exists():
                    self.outcome.digest = (self.home / "digest").read_text()
                return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            time.sleep(0.02)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise AssertionError(f"no end after {PATIENCE:.0f} s: {self.fault}, {self.executor}")

    def mend(self) -> None:
        """Take the fault away, and bring back what died."""
        small = self.home / "small"
        if self.fault == "poison":
            there = (stage for stage in study.STAGES if traps.sprung(self.traps, stage))
            for stage in there:
                traps.disarm(self.traps, stage)
        if self.fault == "fill-disk":
            (small / "filler").unlink(missing_ok=True)
        if self.fault == "read-only":
            remount(small, read_only=False)
        if self.executor == "dask":
            with contextlib.suppress(OSError, ValueError):
                os.kill(int((self.traps / "stopped").read_text()), signal.SIGCONT)
            if self.fault == "kill-scheduler":
                self.end_cluster()
            self.start_cluster()

    def start_cluster(self) -> None:
        """Start what is missing of a scheduler and two workers."""
        file = self.home / "scheduler.json"
        if not _alive(self.cluster.get("scheduler")):
            file.unlink(missing_ok=True)
            self.cluster["scheduler"] = self.dask("scheduler", "--port", "0")
            (self.traps / "scheduler").write_text(str(self.cluster["scheduler"].pid))
            _until(file.exists)
        for name in ("one", "two"):
            if not _alive(self.cluster.get(name)):
                # Each with a nanny, which starts another in place of one that dies.
                self.cluster[name] = self.dask(
                    "worker", "--nthreads", "1", "--memory-limit", "0", "--death-timeout", "60"
                )

    def dask(self, what: str, *options: str) -> subprocess.Popen[bytes]:
        """Start one process of the cluster."""
        words = [sys.executable, "-m", f"distributed.cli.dask_{what}", "--host", "127.0.0.1"]
        words += ["--scheduler-file", str(self.home / "scheduler.json"), "--no-dashboard"]
        with (self.home / f"{what}.log").open("ab") as log:
            return subprocess.Popen([*words, *options], stdout=log, stderr=log, cwd=self.home)

    def end_cluster(self) -> None:
        """End the processes of the cluster."""
        for process in self.cluster.values():
            process.terminate()  # a nanny takes its worker along
        for process in self.cluster.values():
            try:
                process.wait(timeout=10.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.cluster.clear()


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _alive(process: subprocess.Popen[bytes] | None) -> bool:
    return process is not None and process.poll() is None


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("no scheduler")
        time.sleep(0.05)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _preload() -> None:
    """Import what drivers need, once for all of them; nothing is run."""
    for stage in (vs.fit_ensemble, vs.goodness_of_fit, vs.two_sample, vs.coverage):
        stage.__doc__  # noqa: B018  (the package's names are loaded when first used)


def _main() -> None:
    fault, executor, folder = sys.argv[1:]
    _preload()
    outcome = Scenario(fault, executor, Path(folder)).run()
    sys.stdout.write(f"{json.dumps(outcome.__dict__)}\n")


if __name__ == "__main__":
    _main()
