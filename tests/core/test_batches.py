"""Rows and rounds: which files are read, which rows are the same intention, what another run may buy."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ai302_core import errors
from ai302_core._batch import batches, tables
from ai302_core._batch.batches import Batch, Halt
from ai302_core.jobs import Job, Status

TEXT = 'sku,name\r\nA1,红杯 "big"\r\n\r\n"A,2","two\r\nlines"\r\n'
BATCH = Batch(name="skus", file="/a/skus.csv", recipe={"prompt": "{name}"}, identity=("sku", "name"))
ROWS = [{"sku": "A"}, {"sku": "B"}, {"sku": "C"}]


def job(key: str, status: Status = Status.SUCCEEDED) -> Job:
    return Job(
        id=f"261121-{status[:8]}",
        provider="p",
        family="f",
        operation="o",
        status=status,
        created_at=datetime(2026, 11, 21, tzinfo=UTC),
        key=key,
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    ("delimiter", "ends"), [(",", "\r\n"), (";", "\n"), ("\t", "\r")], ids=["comma", "semicolon", "tab"]
)
def test_a_table_reads_the_same_in_every_usual_dress(encoding: str, delimiter: str, ends: str) -> None:
    text = 'sku,name\r\nA1,"红杯 ""big"""\r\n\r\n"A,2","two\r\nlines"\r\n'.replace(",", delimiter)
    text = text.replace(f"A{delimiter}2", "A,2").replace("\r\n", ends)
    content = text.encode(encoding)
    if encoding == "utf-16-be":
        content = b"\xfe\xff" + content
    named = encoding if encoding == "utf-16-le" else None  # without its mark it has to be said
    table = tables.read(content, name="skus.csv", encoding=named)
    assert table.columns == ("sku", "name")
    assert [(row.line, dict(row.cells)) for row in table.rows] == [
        (2, {"sku": "A1", "name": '红杯 "big"'}),
        (4, {"sku": "A,2", "name": "two\nlines"}),
    ]


def test_json_lines_keep_their_types() -> None:
    table = tables.read(b'{"prompt": "x", "seed": 3}\n\n{"prompt": "y", "images": ["a.png"], "seed": null}\n',
                         name="x.jsonl")  # fmt: skip
    assert table.columns == ("prompt", "seed", "images")
    assert [(row.line, dict(row.cells)) for row in table.rows] == [
        (1, {"prompt": "x", "seed": 3}),
        (3, {"prompt": "y", "images": ["a.png"]}),
    ]


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        ("name\n红杯\n".encode("gb18030"), "a.csv", "not UTF-8 text (line 2)"),
        ("name\nx\n".encode("utf-16-le"), "a.csv", "NUL"),
        (b"", "a.csv", "no rows"),
        (b"name\n\n", "a.csv", "no rows"),
        (b"a,b\n1,2,3\n", "a.csv", "Line 2 has 3 cells"),
        (b"a,b\n1\n", "a.csv", "Line 2 has 1 cell"),
        (b"a,a\n1,2\n", "a.csv", "two columns 'a'"),
        (b"a,,b\n1,2,3\n", "a.csv", "Column 2 has no name"),
        (b"a,b;c\n1,2;3\n", "a.csv", "could be separated"),
        (b'a\n"open\n', "a.csv", "no CSV"),
        (b"[1]\n", "a.jsonl", "no JSON object"),
        (b"{\n", "a.jsonl", "Line 1 is no JSON"),
        (b'{"a": 1}\n{"a": 1, "a": 2}\n', "a.jsonl", "Line 2 is no JSON: 'a' is there twice"),
        (b'{"a": ' + b"[" * 100_000 + b"}\n", "a.jsonl", "Line 1 is nested too deeply"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_what_is_no_table_is_refused_with_its_line(content: bytes, name: str, said: str) -> None:
    with pytest.raises(errors.ParameterError, match="Nothing was sent") as caught:
        tables.read(content, name=name)
    assert said in caught.value.message


def test_the_encoding_can_be_said_and_is_checked() -> None:
    content = "name\n红杯\n".encode("gb18030")
    assert tables.read(content, name="a.csv", encoding="gb18030").rows[0].cells == {"name": "红杯"}
    for wrong in ("utf-8", "klingon", "undefined"):
        with pytest.raises(errors.ParameterError):
            tables.read(content, name="a.csv", encoding=wrong)


def test_a_spreadsheets_own_line_names_the_separator() -> None:
    table = tables.read(b"sep=;\r\na,b;c\r\n1,2;3\r\n", name="a.csv")
    assert table.columns == ("a,b", "c")
    assert table.rows[0].line == 3


def test_a_row_is_the_cells_it_uses_and_its_number_among_equals() -> None:
    rows = [{"sku": "A", "name": "x", "cost": "1"}, {"sku": "A", "name": "x", "cost": "2"}, {"sku": "B", "name": "x"}]
    first, second, third = batches.keys(BATCH, rows)
    assert first != second != third != first
    moved = replace(BATCH, file="/other.csv", identity=("name", "sku"), options={"provider": "elsewhere"})
    assert batches.keys(moved, [{**row, "cost": "9"} for row in rows]) == [first, second, third]
    assert batches.keys(moved, rows[::-1]) == [third, first, second]  # another order of unequal rows changes nothing
    assert {batches.name_of(key) for key in (first, second, third)} == {"skus"}
    assert batches.keys(replace(BATCH, round=2), rows)[0] == f"{first}@2"
    assert batches.name_of("order-4711") is None
    assert batches.name_of(None) is None


def test_the_same_options_go_on_with_the_same_round() -> None:
    jobs = [job(key) for key in batches.keys(BATCH, [{"sku": "A"}])]
    after = batches.advance(BATCH, replace(BATCH, identity=("name",)), ["sku", "name"], ROWS, jobs, again_all=False)
    assert (after.round, after.identity) == (1, BATCH.identity)  # another -o does not make other rows of them


def test_other_options_are_refused_while_rows_are_alive() -> None:
    wanted = replace(BATCH, recipe={"prompt": "a {name}"})
    jobs = [job(key, status) for key, status in zip(
        batches.keys(BATCH, ROWS), (Status.SUCCEEDED, Status.FAILED, Status.UNCONFIRMED), strict=True)]  # fmt: skip
    new = {"sku": "D"}
    for file, said in (
        (ROWS, r"2 rows of .* bought again: prompt was"),
        ([ROWS[0], new], r"1 row of .* bought again: prompt was"),  # one that was taken out is not
        ([new, new], r"2 rows of the batch 'skus', in the file no more, would be bought again once back: prompt was"),
    ):
        with pytest.raises(errors.ParameterError, match=said):
            batches.advance(BATCH, wanted, ["sku", "name"], file, jobs, again_all=False)
    assert batches.advance(BATCH, wanted, ["sku", "name"], ROWS, jobs, again_all=True).round == 2
    # A dead row holds its key for what it was: other words need another.
    assert batches.advance(BATCH, wanted, ["sku", "name"], ROWS, jobs[1:2], again_all=False).round == 2
    assert batches.advance(BATCH, wanted, ["sku", "name"], ROWS, [], again_all=False).round == 1
    # A round that was begun and has bought nothing makes no other: what was bought before it stands.
    begun = replace(BATCH, round=2, recipe=wanted.recipe)
    with pytest.raises(errors.ParameterError, match=r"2 rows .* bought again: prompt was"):
        batches.advance(begun, BATCH, ["sku", "name"], ROWS, jobs, again_all=False)
    assert batches.advance(begun, wanted, ["sku", "name"], ROWS, jobs, again_all=False).round == 2
    with pytest.raises(errors.ParameterError, match=r"up to 2 rows .*: a column that tells its rows apart is missing"):
        batches.advance(BATCH, BATCH, ["name"], ROWS, jobs, again_all=False)


def test_all_again_begins_only_after_the_round_is_over() -> None:
    assert batches.advance(BATCH, BATCH, ["sku", "name"], ROWS, [], again_all=True).round == 1
    over = replace(BATCH, complete=True)
    after = batches.advance(over, BATCH, ["sku", "name"], ROWS, [], again_all=True)
    assert (after.round, after.complete) == (2, False)
    assert batches.advance(after, BATCH, ["sku", "name"], ROWS, [], again_all=True).round == 2


def test_a_batch_survives_json() -> None:
    assert Batch.from_json({**BATCH.to_json(), "of_a_later_version": 1}) == BATCH


@pytest.mark.parametrize("name", ["", " ", "a#b", "a\nb"])
def test_names_that_cannot_be_a_batch(name: str) -> None:
    with pytest.raises(errors.ParameterError):
        batches.checked(name)


def test_prompts_from_templates() -> None:
    cells = {"name": "mug {big}", "n": 3}
    assert batches.fill("a {name}, {{x}}, {n}{gone}", cells, ["name", "n", "gone"]) == "a mug {big}, {x}, 3"
    with pytest.raises(errors.ParameterError, match=r"did you mean \{name\}"):
        batches.fill("{nam}", cells, ["name"])
    with pytest.raises(errors.ParameterError, match="lone"):
        batches.names_in("a { b")


def test_what_stops_a_batch() -> None:
    halt = Halt()
    failed = job("k", Status.FAILED)
    for _ in range(50):
        halt.see(failed, errors.JobFailed("no", job=failed))
        halt.see(None, errors.ContentRejectedError("no", status_code=400))
    for _ in range(batches.PATIENCE - 1):
        halt.see(None, errors.TransportError("refused", sent=False))
    halt.see(job("k"), None)
    assert halt.reason is None
    for _ in range(batches.PATIENCE):
        halt.see(None, errors.TransportError("refused", sent=False))
    assert isinstance(halt.reason, errors.TransportError)


def test_what_every_row_would_meet_stops_at_once() -> None:
    halt = Halt()
    halt.see(None, errors.BalanceError("empty", status_code=402))
    assert isinstance(halt.reason, errors.BalanceError)
