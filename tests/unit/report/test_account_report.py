"""What a report says of columns and rows that were left out."""

from __future__ import annotations

from dataclasses import replace

from report_values import make_content
from verisimile.core.random import Seeds
from verisimile.core.result import from_dict, to_dict
from verisimile.core.run import Run
from verisimile.data.account import Account, LeftOut
from verisimile.report.content import InputSample, ReportInput
from verisimile.report.document import document
from verisimile.report.page import Table
from verisimile.report.verdict import Verdict

ACCOUNT = Account(
    ("pt",),
    (LeftOut("mag", "values of type string", 0.9),),
    rows=100,
    dropped=4,
    missing={"pt": 4},
)


def content(account: Account | None) -> ReportInput:
    found = make_content()
    return replace(found, inputs=tuple(replace(one, account=account) for one in found.inputs))


def tables(found: ReportInput) -> dict[str, Table]:
    page = document(Run(Seeds(1)), found).page
    return {table.caption: table for part in page.parts for table in part.tables}


def test_columns_and_rows_are_in_a_folded_table() -> None:
    (table,) = (t for caption, t in tables(content(ACCOUNT)).items() if "left out" in caption)
    assert table.folded
    assert table.rows == (("test", "pt", "mag: values of type string", "100", "4", "pt 4"),)
    assert not any("left out" in caption for caption in tables(content(None)))


def test_a_doubtful_column_lets_nothing_pass() -> None:
    calm = document(Run(Seeds(1)), content(replace(ACCOUNT, left_out=())))
    doubtful = document(Run(Seeds(1)), content(ACCOUNT))
    assert len(doubtful.findings) == len(calm.findings) + 1
    finding = doubtful.findings[-1]
    assert (finding.verdict, finding.decisive) == (Verdict.INCONCLUSIVE, True)
    assert "column 'mag' was left out of the test sample" in finding.sentence
    assert "test sample: 4 of 100 rows dropped for missing values (pt 4)" in doubtful.warnings
    alone = document(Run(Seeds(1)), ReportInput(inputs=content(ACCOUNT).inputs))
    assert alone.verdict == "inconclusive"


def test_records_of_older_versions_are_read() -> None:
    (sample,) = content(ACCOUNT).inputs
    data = to_dict(sample)
    assert from_dict(data) == sample
    del data["account"]
    older = from_dict({**data, "schema": "verisimile.input-sample/2"})
    assert older == replace(sample, account=None)
    assert isinstance(older, InputSample)
