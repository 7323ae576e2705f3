"""``verisimile inspect``: what a run folder holds, and whether it is whole."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from verisimile.app import stages
from verisimile.app.exits import ExitCode
from verisimile.app.study import FitStudy, load_study
from verisimile.app.terminal import print_json, print_lines, print_table
from verisimile.core.random import Seeds
from verisimile.core.result import to_dict
from verisimile.core.run import Run
from verisimile.ensemble.fit import load_ensemble
from verisimile.mixture.io import load_mixture
from verisimile.mixture.model import Mixture
from verisimile.report.content import MemberTraining
from verisimile.report.page import Table
from verisimile.report.sections import origin


def execute(folder: Path, *, as_json: bool) -> ExitCode:
    """Read every member and the weights, checking their hashes, and describe them."""
    study = load_study(Run(Seeds(0), store=folder).store)
    run = Run(Seeds(study.seed), store=folder)
    members = stages.training_of(load_ensemble(run))
    mixture = load_mixture(run)
    records = Counter(address.partition("/")[0] for address in run.store.addresses(""))
    if as_json:
        print_json(
            "verisimile.inspect/1",
            {
                "folder": str(folder),
                "study": to_dict(study),
                "members": [to_dict(member) for member in members],
                "fit": to_dict(mixture.fit),
                "mixture": mixture.fingerprint,
                "records": dict(records),
            },
        )
    else:
        _print(study, members, mixture, records)
    return ExitCode.COMPATIBLE


def _print(
    study: FitStudy,
    members: tuple[MemberTraining, ...],
    mixture: Mixture,
    records: Counter[str],
) -> None:
    print_lines(study.command, "")
    for table in (
        origin.input_table(study.inputs),
        origin.feature_table(mixture.features),
        origin.member_table(members),
        origin.weight_table(mixture.fit),
        origin.fit_table(mixture.fit),
    ):
        _print_table(table)
    kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(records.items()))
    print_lines(f"Records: {kinds}. Members and weights are whole.")


def _print_table(table: Table) -> None:
    print_lines(table.caption)
    print_table(table.columns, table.rows)
    print_lines("")
