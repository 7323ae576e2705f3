"""``verisimile inspect``: what a run folder holds, and whether it is whole."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from verisimile.app import options, terminal
from verisimile.app.terminal import ExitCode


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectCommand:
    """Check and describe what RUN holds."""

    home: options.RunFolder
    as_json: options.Json = False

    def execute(self) -> ExitCode:
        """Read every member and the weights, checking their hashes, and describe them."""
        from verisimile.app.stages import learnt, learnt_json, training_of
        from verisimile.app.study import open_run
        from verisimile.core.result import to_dict
        from verisimile.ensemble.cross import load_trained
        from verisimile.mixture.io import load_mixture
        from verisimile.report.claims import claimed
        from verisimile.report.sections import origin
        from verisimile.report.sections.discrepancy import discrepancy_table

        study, run = open_run(self.home)
        members = training_of(load_trained(run))
        mixture = load_mixture(run)
        correction = learnt(mixture)
        records = Counter(address.partition("/")[0] for address in run.store.addresses(""))
        if self.as_json:
            terminal.print_json(
                "verisimile.inspect/1",
                {
                    "folder": str(self.home),
                    "study": to_dict(study),
                    "members": [to_dict(member) for member in members],
                    "fit": to_dict(mixture.fit),
                    "discrepancy": learnt_json(mixture),
                    "mixture": mixture.fingerprint,
                    "records": dict(records),
                },
            )
            return ExitCode.COMPATIBLE
        terminal.print_lines(study.command, "")
        for table in (
            origin.input_table(study.inputs),
            origin.account_table(study.inputs),
            origin.feature_table(mixture.features),
            origin.member_table(members),
            origin.weight_table(mixture.fit),
            origin.fit_table(mixture.fit),
            *([] if correction is None else [discrepancy_table(correction)]),
        ):
            terminal.print_lines(table.caption)
            terminal.print_table(table)
            terminal.print_lines("")
        terminal.print_lines(claimed(correction), "")
        kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(records.items()))
        terminal.print_lines(f"Records: {kinds}. Members and weights are whole.")
        return ExitCode.COMPATIBLE
