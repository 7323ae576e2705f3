"""The real command line with one more command, whose tasks are short or never end.

Run as a program: its process is the driver of the tests that stop and kill one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

import map_tasks
from verisimile.app import cli, options, terminal
from verisimile.app.terminal import ExitCode
from verisimile.core.random import Seeds
from verisimile.core.records import Payload

_BEFORE = "NAPPING_BEFORE"
TASKS, SHORT = 8, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class NapCommand:
    """Sleep and draw."""

    home: options.RunFolder
    log: Annotated[Path, typer.Option()]
    long: Annotated[float, typer.Option()] = 3600.0
    stubborn: Annotated[bool, typer.Option()] = False
    executor: options.Executor = ""
    max_seconds: options.MaxSeconds = None

    def execute(self) -> ExitCode:
        """Do the tasks and say which there are."""
        run = options.run_in(self.home, seed=7, executor=self.executor)
        lengths = [0.0 if index < SHORT else self.long for index in range(TASKS)]
        tasks = map_tasks.tasks([(str(self.log), *each) for each in enumerate(lengths)])
        found = run.map(stay if self.stubborn else map_tasks.nap, tasks, label="nap")
        terminal.print_json("verisimile.nap/1", {"hashes": map_tasks.hashes(found)})
        return ExitCode.COMPATIBLE


def stay(seeds: Seeds, argument: tuple[str, int, float]) -> Payload:
    """Do not stop for any exception."""
    while argument[2]:
        try:
            map_tasks.nap(seeds, argument)
        except KeyboardInterrupt:
            (Path(argument[0]) / "refused").touch()
    return map_tasks.draw(seeds, 0.0)


def start(*words: object, before: str = "") -> subprocess.Popen[str]:
    """Start the command in a process group of its own, after words of a shell."""
    program = [sys.executable, __file__, "nap", *map(str, words)]
    shell = ["sh", "-c", f'{before}; exec "$@"', "sh"] if before else []
    return subprocess.Popen(
        [*shell, *program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), _BEFORE: before},
    )


def alive(group: int) -> bool:
    """Whether a process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    # A job in the background ignores the one, what nohup began the other.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not os.environ.get(_BEFORE):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    cli.app.command("nap")(cli.command(NapCommand))
    cli.main()
