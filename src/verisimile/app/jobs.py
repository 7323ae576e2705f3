"""Job arrays of batch systems: every job does one shard of a command, a last one merges."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from verisimile.core.errors import InputError

_GRACE_SECONDS = 180  # between the end of our own work and that of the job
_SIGNAL_SECONDS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class JobArray:
    """A command and how its jobs run.

    Parameters
    ----------
    command
        The words of the command line, the program first.
    folder
        Where the jobs run, so that relative paths mean the same.
    shards
        Number of jobs.
    seconds
        Time limit of each.
    memory
        Their memory in GB.
    setup
        Shell lines before the command, as ``module load python``.
    container
        Image in which it runs, by apptainer; "" for none.
    """

    command: Sequence[str]
    folder: str
    shards: int
    seconds: int
    memory: int
    setup: Sequence[str] = ()
    container: str = ""

    def __post_init__(self) -> None:
        for text in (*self.command, self.folder, *self.setup, self.container):
            if not text.isprintable():
                raise InputError(
                    "submit",
                    got=f"{text!r}, with a line break or another character that is not printed",
                    expected="names and lines that a job script can hold",
                    remedy="Rename the file.",
                )

    @property
    def name(self) -> str:
        """What the batch system calls the jobs."""
        return f"verisimile-{self.command[1]}"

    @property
    def own_seconds(self) -> int:
        """After how long a job stops by itself, before it is stopped."""
        return max(self.seconds - _GRACE_SECONDS, self.seconds * 4 // 5)

    @property
    def lines(self) -> list[str]:
        """What a shell does before the command."""
        return [f"cd {shlex.quote(self.folder)}", *self.setup]

    @property
    def merging(self) -> str:
        """The command of the last job."""
        inside = ["apptainer", "exec", self.container] if self.container else []
        limits = ["--executor", "serial", "--max-seconds", str(self.own_seconds)]
        return shlex.join([*inside, *self.command, *limits])

    def shard(self, number: str) -> str:
        """Return the command of one job; `number` as the shell or batch system writes it."""
        return f"{self.merging} --shard {number}/{self.shards}"


def slurm(array: JobArray) -> str:
    """Return a shell script that submits the array and, after it, the merging job.

    A shard ends with exit code 4, which says that others are missing: no failure.
    """
    header = [
        f"#SBATCH --job-name={array.name}",
        f"#SBATCH --time={clock(array.seconds)}",
        f"#SBATCH --mem={array.memory}G",
        "#SBATCH --ntasks=1",
        "#SBATCH --cpus-per-task=1",
        f"#SBATCH --signal=B:TERM@{_SIGNAL_SECONDS}",
    ]
    return "\n".join(
        [
            "#!/bin/bash",
            f"# {array.shards} jobs of {array.name}, then one that merges and reports.",
            "# Submit both:  bash THIS-FILE",
            "set -euo pipefail",
            "array=$(sbatch --parsable <<'VERISIMILE_SHARD'",
            "#!/bin/bash",
            *header,
            f"#SBATCH --array=1-{array.shards}",
            f"#SBATCH --output={array.name}-%A-%a.log",
            "set -e",
            *array.lines,
            "set +e",
            *_waited(array.shard('"$SLURM_ARRAY_TASK_ID"')),
            '[ "$status" -eq 4 ] && status=0  # its part is done, or kept and to be gone on with',
            'exit "$status"',
            "VERISIMILE_SHARD",
            ")",
            "sbatch --dependency=afterany:\"${array%%;*}\" <<'VERISIMILE_MERGE'",
            "#!/bin/bash",
            *header,
            f"#SBATCH --output={array.name}-%j.log",
            "set -e",
            *array.lines,
            "set +e",
            *_waited(array.merging),
            "# 0 compatible or done, 1 not compatible, 4: submit this file again, it goes on",
            'exit "$status"',
            "VERISIMILE_MERGE",
            "",
        ]
    )


def htcondor(array: JobArray) -> str:
    """Return a submit description of the array, with the merging command as a comment.

    Exit code 4 says that a shard is done; any other, and the job is tried again.
    """
    for text in (array.merging, *array.lines):
        if "$$(" in text:  # filled in where the job runs, however it is quoted
            raise InputError("submit", got=repr(text), expected="no $$( for HTCondor")
    line = " && ".join([*array.lines, f"exec {array.shard('$VERISIMILE_SHARD')}"])
    return "\n".join(
        [
            f"# {array.shards} jobs of {array.name}.  Submit them:  condor_submit THIS-FILE",
            "# When all have ended, merge and report (again, if it ends with exit code 4):",
            f"#   condor_wait {array.name}.condor",
            *(f"#   {each}" for each in (*array.lines, array.merging)),
            "executable            = /bin/bash",
            "transfer_executable   = false",
            "should_transfer_files = no",
            f"arguments             = {condor_words(['-c', line])}",
            'environment           = "VERISIMILE_SHARD=$(shard)"',
            f"request_memory        = {array.memory}GB",
            "request_cpus          = 1",
            f"+MaxRuntime           = {array.seconds}",
            "kill_sig              = SIGTERM",
            "success_exit_code     = 4",
            "max_retries           = 3",
            f"log                   = {array.name}.condor",
            f"output                = {array.name}-$(ClusterId)-$(shard).log",
            f"error                 = {array.name}-$(ClusterId)-$(shard).log",
            "shard                 = $INT(number)",
            "number                = $(Process) + 1",
            f"queue {array.shards}",
            "",
        ]
    )


def _waited(command: str) -> list[str]:
    """Return shell lines that run a command and hand the signal of the batch system on to it."""
    return [
        "# Before the command is there the signal ends the job, after that it is handed on.",
        'trap \'[ -n "$!" ] || exit 143; kill -TERM "$!"\' TERM',
        f"{command} &",
        "child=$!",
        'wait "$child"; status=$?',
        "# The signal ends the first wait before the command has ended.",
        'while kill -0 "$child" 2>/dev/null; do wait "$child"; status=$?; done',
    ]


def condor_words(words: Sequence[str]) -> str:
    r"""Return words as HTCondor reads them: all in double quotes, each in single ones.

    Examples
    --------
    >>> print(condor_words(["-c", "echo 'a \"b\"' $HOME"]))
    "'-c' 'echo ''a ""b""'' $(DOLLAR)HOME'"
    """
    quoted = [f"'{word.replace(chr(39), chr(39) * 2)}'" for word in words]
    return '"' + " ".join(quoted).replace('"', '""').replace("$", "$(DOLLAR)") + '"'


def clock(seconds: int) -> str:
    """Return ``HH:MM:SS``."""
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def seconds_of(text: str) -> int:
    """Return the seconds in ``HH:MM:SS``.

    Examples
    --------
    >>> seconds_of("01:30:00")
    5400
    """
    found = re.fullmatch(r"([0-9]{1,4}):([0-5][0-9]):([0-5][0-9])", text)
    hours, minutes, seconds = map(int, found.groups()) if found else (0, 0, 0)
    total = 3600 * hours + 60 * minutes + seconds
    if total < 600:
        raise InputError("--time", got=repr(text), expected="HH:MM:SS, ten minutes or more")
    return total
