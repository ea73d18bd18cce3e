# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages about drills: nothing is fetched, nothing breaks out, and nothing of a record is left out."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.errors import MissingDependency
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import (
    drill_chart,
    drill_index,
    drill_markdown,
    drill_page,
    drill_record,
    drill_words,
)
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.drills import summary_of
from tests import made_drills
from tests.made_drills import FIELD_PATHS, HOSTILE, places

Json = dict[str, Any]
EXAMPLES = [
    made_drills.passed,
    made_drills.with_findings,
    made_drills.failed,
    made_drills.failover,
    made_drills.hostile,
]
COVERAGE = {"protected": [HOSTILE], "drilled_within": {HOSTILE: None}, "days": 30}


class Page(HTMLParser):
    """The tags, the attributes and the text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def index_of(*records: Json) -> str:
    return drill_index.render(HOSTILE, [summary_of(record) for record in records], COVERAGE, [HOSTILE])


PAGES = [pytest.param(lambda make=make: drill_page.render(make()), id=make.__name__) for make in EXAMPLES]
PAGES.append(pytest.param(lambda: index_of(made_drills.hostile(), made_drills.passed()), id="index"))


@pytest.mark.parametrize("render", PAGES)
def test_a_page_names_nothing_to_fetch_and_runs_nothing_of_a_record(render: Callable[[], str]) -> None:
    page = Page(render())
    addresses = [value for _tag, name, value in page.attributes if name in ("href", "src", "action", "srcset", "data")]
    assert [address for address in addresses if not address.startswith(("#", "./"))] == []
    assert {name for _tag, name, _value in page.attributes if name.startswith("on")} == set()
    assert {"link", "img", "iframe", "object", "base"} & set(page.tags) == set()
    assert "url(" not in drill_page.STYLE
    assert "@import" not in drill_page.STYLE
    policy = next(value for tag, name, value in page.attributes if (tag, name) == ("meta", "content"))
    assert "default-src 'none'" in policy
    assert page.tags.count("script") == int("form" in page.tags)


def test_texts_of_a_record_stay_texts() -> None:
    """A hostile record gives the same tags as one of the same shape without any sign that means something."""
    hostile = made_drills.hostile()
    calm = Page(drill_page.render(spoken(hostile, "x" * len(HOSTILE))))
    page = Page(drill_page.render(hostile))
    assert page.tags == calm.tags
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7*7 }}" in page.text
    assert "\\u202eevil\\u2066" in page.text
    for sign in ("\u202e", "\u2066"):
        assert sign not in page.text
        assert sign not in drill_markdown.render(hostile)


def spoken(value: Any, text: str) -> Any:
    if isinstance(value, dict):
        return {name: spoken(each, text) for name, each in value.items()}
    if isinstance(value, list):
        return [spoken(each, text) for each in value]
    return text if value == HOSTILE else value


def test_a_text_that_cannot_be_encoded_is_written_out() -> None:
    record = made_drills.passed()
    record["declared"]["reason"] = "lone \ud800 surrogate\nin two\tlines"
    for text in (drill_page.render(record), drill_markdown.render(record)):
        assert "lone \\ud800 surrogate in two lines" in text.encode("utf-8").decode().replace("\\\\", "\\")


LEAVES = [
    path for path in FIELD_PATHS if not any(other.startswith((f"{path}.", f"{path}[].")) for other in FIELD_PATHS)
]


@pytest.mark.parametrize("path", LEAVES)
def test_every_field_of_a_record_is_shown(path: str) -> None:
    """A field that is changed changes the page and the Markdown, beyond the digest of the record."""
    record = made_drills.with_findings(failure={"code": "busy", "detail": "d", "hint": "h"}, failed_stage="restore")
    changed = made_drills.copied(record)
    holder, name, _place = places(changed, path)[-1]
    holder[name] = another(holder[name])
    for render in (drill_page.render, drill_markdown.render):
        before, after = (render(each).replace(drill_record.digest(each), "") for each in (record, changed))
        assert before != after, f"{path} is not shown by {render.__module__}"


def another(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, (list, dict)):
        return type(value)() if value else {"partial_vectors": 7}
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 86461
    if value is None:
        return "something"
    for form, other in (
        (r"\d{8}T\d{6}Z-\w{6}", "20200202T020202Z-020202"),
        (r"\d{4}-\d\d-\d\dT.*Z", "2020-02-02T02:02:02.020000Z"),
        (r"\d{4}-\d\d-\d\d", "2020-02-02"),
    ):
        if re.fullmatch(form, value):
            return other
    return {"restore": "replay", "done": "failed"}.get(value, f"{value}z")


@pytest.mark.parametrize("name", ["previous", "history"])
def test_no_figure_of_nothing_breaks_a_picture(name: str) -> None:
    record = made_drills.failed(stages=[], sla={"tier": None, "rpo_seconds": 0, "rto_seconds": 0})
    assert drill_chart.timeline(record) == ""
    assert "none" in drill_chart.history(record, "RTO")
    quick = made_drills.passed(rto_seconds=0.0, rpo_seconds=0.0)
    assert "0 s" in drill_chart.history(quick, "RPO")


def test_the_timeline_tells_what_counts() -> None:
    told = drill_chart.timeline(made_drills.with_findings())
    assert told.count("not counted") == 2
    assert 'role="img"' in told
    assert "The SLA demands an RTO of 15 min." in told
    slow = made_drills.passed(sla={"tier": None, "rpo_seconds": 60, "rto_seconds": 30})
    assert "beyond this scale" not in drill_chart.timeline(slow)


@pytest.mark.parametrize("kind", ["Failover", "Failback"])
def test_the_real_thing_is_not_called_a_drill(kind: str) -> None:
    record = made_drills.failover(kind=f"vectorops.qdrant_dr/{kind.lower()}")
    page, text = Page(drill_page.render(record)).text, drill_markdown.render(record)
    assert f"{kind} of products: PASS" in page
    assert text.startswith(f"# {kind} of products: PASS\n")
    for shown in (page, text):
        assert "through the confirmation and the fencing" in shown
        assert "Fence" in shown
        for of_a_drill in ("Recovery drill", "Simulated", "Scratch", "Negative controls", "cleaned up", "Coverage"):
            assert of_a_drill not in shown


def test_the_index_does_not_count_the_real_thing_as_a_drill() -> None:
    page = Page(index_of(made_drills.passed(), made_drills.failover(1))).text
    assert re.search(r"Pass\s*1\s", page)
    assert "Failover: Cluster lost" in page
    assert "2 reports" in page


def test_no_word_claims_that_a_rule_is_met() -> None:
    for render in (drill_page.render, drill_markdown.render):
        text = render(made_drills.passed())
        assert "compliant" not in text.lower()
        assert "supports evidence for SOC 2 A1.3" in text.replace("\\", "")


def test_markdown_has_a_row_of_equal_cells_for_each_line_of_a_table() -> None:
    lines = drill_markdown.render(made_drills.hostile()).splitlines()
    widths: list[int] = []
    for line in lines:
        if line.startswith("|"):
            widths.append(len(re.findall(r"(?<!\\)\|", re.sub(r"\\\\", "", line))))
            assert widths[-1] == widths[0], line
        else:
            widths = []
    assert not re.search(r"(?<![\\`])<script", "\n".join(line for line in lines if not line.startswith("<script")))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "\u2013"),
        (0, "0 s"),
        (0.0149, "0.01 s"),
        (41.26, "41.3 s"),
        (59.97, "1 min"),
        (61, "1 min 1 s"),
        (900, "15 min"),
        (3605, "1 h 5 s"),
        (93784, "1 d 2 h"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert drill_words.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "\u2013"),
        (999, "999 bytes"),
        (171234567, "171.2 MB (171,234,567 bytes)"),
        (10**16, "10000.0 TB (10,000,000,000,000,000 bytes)"),
    ],
)
def test_sizes(count: int | None, text: str) -> None:
    assert drill_words.size(count) == text


def test_without_jinja_a_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingDependency, match="Jinja2 is missing") as refusal:
        drill_page.render(made_drills.passed())
    assert "Install Jinja2 >= 3.1" in refusal.value.hint
