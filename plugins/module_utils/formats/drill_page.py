# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a drill as one page of HTML that needs nothing else: no script, no font, no address."""

from __future__ import annotations

from typing import Any

from ..errors import MissingDependency
from . import drill_chart
from .drill_kind import kind_of
from .drill_record import FAIL, PASS, digest
from .drill_style import STYLE
from .drill_view import BAD, GOOD, OPEN, sections, summary
from .drill_words import visible, words

_TONES = {PASS: GOOD, FAIL: BAD}
MARKS = {GOOD: "\u2713", BAD: "\u2717", OPEN: "\u25cb"}
# The browser, too, is told to fetch nothing and to run nothing.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

PARTS = """
{%- macro mark(tone) -%}
{%- if tone in marks %}<span class="mark" aria-hidden="true">{{ marks[tone] }}</span>{% endif -%}
{%- endmacro -%}
{%- macro show(cell) -%}
{{ mark(cell.tone) }}{% if cell.code %}<code dir="ltr"><bdi>{{ cell.text }}</bdi></code>
{%- else %}<bdi>{{ cell.text }}</bdi>{% endif -%}
{%- endmacro -%}
{%- macro head(title, policy, style) -%}
<!DOCTYPE html>
<html lang="en" dir="ltr">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{{ title }}</title>
<style>{{ style }}</style>
</head>
{%- endmacro -%}
"""

_PAGE = (
    PARTS
    + """
{%- macro table(table) -%}
{% if table.rows %}
<div class="scroll" role="region" tabindex="0" aria-label="{{ table.caption }}">
<table class="stack" role="table">
<caption>{{ table.caption }}</caption>
<thead role="rowgroup"><tr role="row">
{%- for name in table.heads %}<th scope="col" role="columnheader">{{ name }}</th>{% endfor -%}
</tr></thead>
<tbody role="rowgroup">
{% for row in table.rows %}<tr role="row">
{%- for cell in row -%}
{%- set size = cell.text | length -%}
{%- set kind = "brief" if size < 20 and (cell.figure or cell.tone) else "figure" if cell.figure
   else "long" if size > 40 else "" -%}
{%- if loop.first %}<th scope="row" role="rowheader" class="{{ kind }}">{{ show(cell) }}</th>
{%- else %}<td role="cell" class="{{ kind }} {{ cell.tone }}" data-head="{{ table.heads[loop.index0] }}"><span>
{{- show(cell) }}</span></td>{% endif -%}
{%- endfor -%}
</tr>
{% endfor %}</tbody>
</table>
</div>
{% else %}<h3>{{ table.caption }}</h3><p class="none">{{ table.empty }}</p>
{% endif %}
{%- endmacro -%}
{{ head(kind.title ~ " of " ~ record.collection ~ ": " ~ record.verdict, policy, style) }}
<body>
<header>
<p class="eyebrow">{{ kind.title }} of a collection in <bdi>{{ record.cluster }}</bdi></p>
<h1><bdi>{{ record.collection }}</bdi></h1>
<p class="verdict {{ tone }}">{{ mark(tone) }}{{ record.verdict }}</p>
{% if record.failure %}<div class="failure">
<p><strong>Failed in: <bdi>{{ stage }}</bdi></strong> <code dir="ltr"><bdi>{{ record.failure.code }}</bdi></code></p>
<p><bdi>{{ record.failure.detail }}</bdi></p><p><bdi>{{ record.failure.hint }}</bdi></p>
</div>{% endif %}
<dl class="glance">
{% for name, told, demanded, tone in summary %}<div><dt>{{ name }}, at most {{ demanded }} demanded</dt>
<dd><span class="measured {{ tone }}">{{ told }}</span>
<span class="{{ tone }}">{{ mark(tone) }}{{ "within the SLA" if tone == "good" else "not within the SLA" }}</span>
</dd></div>
{% endfor %}<div><dt>Open findings</dt><dd><span class="measured">{{ open }}</span>
<span class="soft">of {{ record.findings | length }} in this report</span></dd></div>
</dl>
<nav aria-label="Sections"><ul>
{% for section in sections %}<li><a href="#{{ section.anchor }}">{{ section.title }}</a></li>
{% endfor %}</ul></nav>
</header>
<main>
{% for section in sections %}<section id="{{ section.anchor }}" aria-labelledby="{{ section.anchor }}-title">
<h2 id="{{ section.anchor }}-title">{{ section.title }}</h2>
{% if section.text %}<p><bdi>{{ section.text }}</bdi></p>
{% endif %}{% if section.anchor in pictures %}{{ pictures[section.anchor] }}
{% endif %}{% if section.facts %}<dl class="facts">
{% for name, cell in section.facts %}<dt>{{ name }}</dt><dd>{{ show(cell) }}</dd>
{% endfor %}</dl>
{% endif %}{% for each in section.tables %}{{ table(each) }}{% endfor %}
{%- for command in section.commands %}<pre dir="ltr" tabindex="0" aria-label="Command"><code>{{ command }}</code></pre>
{% endfor %}</section>
{% endfor %}</main>
<footer><p>{{ kind.name | capitalize }} <code>{{ record.drill_id }}</code>. SHA-256 of <code>record.json</code>:
<code>{{ digest }}</code></p></footer>
</body>
</html>
"""
)


def render(record: dict[str, Any]) -> str:
    """The page of a checked record. Raises MissingDependency without Jinja2."""
    shown = sections(record)
    return fill(
        _PAGE,
        record=record,
        kind=kind_of(record),
        policy=_POLICY,
        tone=_TONES.get(record["verdict"], OPEN),
        stage=words(record["failed_stage"] or "before the first stage"),
        summary=summary(record),
        open=sum(1 for finding in record["findings"] if finding["closed"] is None),
        sections=shown,
        pictures=_pictures(record),
        digest=digest(record),
    )


def fill(template: str, **values: Any) -> str:
    """A template of HTML with its values, every text of which is escaped. Raises MissingDependency without Jinja2."""
    try:
        from jinja2 import Environment, StrictUndefined
        from markupsafe import Markup
    except ImportError as error:
        raise MissingDependency(
            f"The Python package Jinja2 is missing: {error}.",
            "Install Jinja2 >= 3.1 for the Python that runs this module, or run it on the controller, which has it.",
        ) from error

    def written(found: Any) -> Any:
        return visible(found) if isinstance(found, str) and not isinstance(found, Markup) else found

    pages = Environment(autoescape=True, undefined=StrictUndefined, finalize=written)
    trusted = {name: Markup(text) for name, text in {"style": STYLE, **values.pop("trusted", {})}.items()}  # noqa: S704
    pictures = {name: Markup(text) for name, text in values.pop("pictures", {}).items()}  # noqa: S704
    return pages.from_string(template).render(marks=MARKS, pictures=pictures, **trusted, **values)


def _pictures(record: dict[str, Any]) -> dict[str, str]:
    charts = "".join(f"<div><h3>{name}</h3>{drill_chart.history(record, name)}</div>" for name in ("RTO", "RPO"))
    return {"timeline": drill_chart.timeline(record), "history": f'<div class="charts">{charts}</div>'}
