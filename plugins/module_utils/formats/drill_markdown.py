# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a drill in Markdown (CommonMark with the tables of GitHub)."""

from __future__ import annotations

import re
from typing import Any

from .drill_kind import kind_of
from .drill_view import BAD, GOOD, OPEN, Cell, Section, Table, sections, summary
from .drill_words import visible

# ASCII punctuation that can begin something within a line, which a backslash makes a plain character
# (https://spec.commonmark.org/0.31.2/#backslash-escapes); so no address becomes a link by itself either.
_SPECIAL = re.compile(r"[\\`*_{}\[\]<>()#!|~&@$^]|:(?=//)|(?<=www)\.", re.IGNORECASE)
_MARKS = {GOOD: "\u2713 ", BAD: "\u2717 ", OPEN: "\u25cb "}


def render(record: dict[str, Any]) -> str:
    """The Markdown text of a checked record."""
    lines = [f"# {kind_of(record).title} of {_plain(record['collection'])}: {record['verdict']}", ""]
    if record["failure"] is not None:
        failure = record["failure"]
        stage = _plain(record["failed_stage"] or "before the first stage")
        told = f"{_plain(failure['detail'])} {_plain(failure['hint'])} ({_code(failure['code'])})"
        lines += [f"Failed in: {stage}. {told}", ""]
    heads = ("", "Measured", "Demanded")
    rows = [[Cell(name), Cell(told, tone), Cell(demanded)] for name, told, demanded, tone in summary(record)]
    lines += _table(Table("", heads, rows))
    for section in sections(record):
        lines += _section(section)
    return "\n".join(lines) + "\n"


def _section(section: Section) -> list[str]:
    lines = ["", f"## {section.title}", ""]
    if section.text:
        lines += [_plain(section.text), ""]
    lines += [f"- {name}: {_cell(cell)}" for name, cell in section.facts]
    for table in section.tables:
        lines += ["", f"**{table.caption}**", ""]
        lines += _table(table) if table.rows else [table.empty]
    for command in section.commands:
        lines += ["", *_fenced(visible(command))]
    return lines


def _table(table: Table) -> list[str]:
    rules = ["---:" if _is_figures(table, column) else "---" for column in range(len(table.heads))]
    rows = [[*table.heads], rules, *([_cell(cell) for cell in row] for row in table.rows)]
    return [f"| {' | '.join(row)} |" for row in rows]


def _is_figures(table: Table, column: int) -> bool:
    return all(row[column].figure for row in table.rows)


def _cell(cell: Cell) -> str:
    return _MARKS.get(cell.tone, "") + (_code(cell.text) if cell.code else _plain(cell.text))


def _plain(text: str) -> str:
    return _SPECIAL.sub(lambda found: f"\\{found.group()}", visible(text))


def _code(text: str) -> str:
    """A span of code. What would end it or the cell of a table is written as plain text instead."""
    return _plain(text) if not text.strip() or "`" in text or "|" in text else f"`{visible(text)}`"


def _fenced(text: str) -> list[str]:
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return [fence + "sh", text, fence]
