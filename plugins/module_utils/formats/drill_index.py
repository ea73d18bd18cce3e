# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page that lists the drills of all collections of a cluster, newest first, and among them what was no drill.

Its filters are a few lines of script, which the browser runs by their digest and no others. Without script the page
shows all drills, and no filters.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from .drill_kind import DRILL, FAILBACK, FAILOVER
from .drill_page import PARTS, fill
from .drill_record import FAIL, PASS, VERDICTS
from .drill_view import BAD, GOOD, OPEN
from .drill_words import duration, moment, words
from .layout import DRILL_PAGE, drill_key

Json = dict[str, Any]

_SCRIPT = """
const form = document.forms[0], rows = [...document.querySelectorAll('tbody tr')];
function filter() {
  const verdict = form.verdict.value, name = form.collection.value, text = form.text.value.trim().toLowerCase();
  let shown = 0;
  for (const row of rows) {
    row.hidden = !((!verdict || row.dataset.verdict === verdict) && (!name || row.dataset.collection === name)
      && row.textContent.toLowerCase().includes(text));
    shown += !row.hidden;
  }
  document.getElementById('shown').textContent = shown + ' of ' + rows.length + ' reports';
}
form.hidden = false;
form.addEventListener('input', filter);
form.addEventListener('submit', event => event.preventDefault());
filter();
"""
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; script-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    + "'"
)
_PAGE = (
    PARTS
    + """
{{- head("Recovery drills of " ~ cluster, policy, style) }}
<body>
<header>
<p class="eyebrow">Recovery drills</p>
<h1><bdi>{{ cluster }}</bdi></h1>
<dl class="glance">
{% for name, count, tone in counts %}<div><dt>{{ name }}</dt>
<dd><span class="measured {{ tone }}">{{ count }}</span></dd></div>
{% endfor %}</dl>
</header>
<main>
<section aria-labelledby="coverage-title"><h2 id="coverage-title">Coverage</h2>
<p>Due, since they were not drilled within {{ coverage.days }} days:
{% for name in due %}<strong class="bad"><bdi>{{ name }}</bdi></strong>{{ ", " if not loop.last }}
{%- else %}<span class="good">{{ mark("good") }}none of {{ coverage.protected | length }} protected collections</span>
{%- endfor %}.</p>
</section>
<section aria-labelledby="drills-title"><h2 id="drills-title">Drills</h2>
<form hidden aria-label="Filters">
<label>Verdict <select name="verdict"><option value="">all</option>
{%- for name in verdicts %}<option>{{ name }}</option>{% endfor %}</select></label>
<label>Collection <select name="collection"><option value="">all</option>
{%- for name in collections %}<option value="{{ name }}">{{ name }}</option>{% endfor %}</select></label>
<label>Text <input name="text" type="search" autocomplete="off"></label>
</form>
<p class="soft" id="shown" role="status">{{ drills | length }} reports</p>
{% if drills %}<div class="scroll" role="region" tabindex="0" aria-label="Drills, newest first">
<table class="stack" role="table">
<caption>Drills, newest first</caption>
<thead role="rowgroup"><tr role="row">
{%- for name in heads %}<th scope="col" role="columnheader">{{ name }}</th>{% endfor -%}
</tr></thead>
<tbody role="rowgroup">
{% for row in drills %}<tr role="row" data-verdict="{{ row.verdict }}" data-collection="{{ row.collection }}">
<th scope="row" role="rowheader"><a href="{{ row.href }}"><bdi>{{ row.collection }}</bdi></a><br>
<code class="soft">{{ row.drill_id }}</code></th>
{% for cell in row.cells %}<td role="cell" class="{{ cell[1] }} {{ cell[2] }}" data-head="{{ heads[loop.index] }}">
{{- "" }}<span>{{ mark(cell[2]) }}<bdi>{{ cell[0] }}</bdi></span></td>
{% endfor %}</tr>
{% endfor %}</tbody>
</table>
</div>{% endif %}
</section>
</main>
<footer><p>Each drill has its record, its report and their SHA-256 in one folder.</p></footer>
<script>{{ script }}</script>
</body>
</html>
"""
)
_HEADS = ("Collection", "Verdict", "Declared", "RTO", "RPO", "SLA", "Scenario", "Operator", "Open")
_TONES = {PASS: GOOD, FAIL: BAD}


def render(cluster: str, drills: Sequence[Json], coverage: Json, due: Sequence[str]) -> str:
    """The page. ``drills`` are summaries (``operations.drills.summary_of``), ``coverage`` is that of a record.

    Its links lead to the reports from the folder in which the folders of the collections are. Raises MissingDependency.
    """
    return fill(
        _PAGE,
        trusted={"script": _SCRIPT},
        policy=_POLICY,
        cluster=cluster,
        counts=[
            (
                name.capitalize(),
                sum(1 for drill in drills if (drill["kind"], drill["verdict"]) == (DRILL.name, name)),
                _TONES.get(name, OPEN),
            )
            for name in VERDICTS
        ],
        coverage=coverage,
        due=due,
        verdicts=VERDICTS,
        collections=sorted({drill["collection"] for drill in drills}),
        heads=_HEADS,
        drills=[_row(drill) for drill in drills],
    )


def _scenario(drill: Json) -> str:
    """A drill is called by its scenario alone."""
    title = {kind.name: f"{kind.title}: " for kind in (FAILOVER, FAILBACK)}.get(drill["kind"], "")
    return title + words(drill["scenario"])


def _row(drill: Json) -> Json:
    rto, rpo = drill["rto_seconds"], drill["rpo_seconds"]
    sla = f"{duration(drill['sla']['rto_seconds'])} / {duration(drill['sla']['rpo_seconds'])}"
    cells = [
        (drill["verdict"], "brief", _TONES.get(drill["verdict"], OPEN)),
        (moment(drill["declared_at"])[: len("2026-11-22 02:00")] + " UTC", "brief", ""),
        (duration(rto), "brief", ""),
        (duration(rpo), "brief", ""),
        (sla, "brief", ""),
        (_scenario(drill), "", ""),
        (drill["operator"], "name", ""),
        (str(len(drill["open_findings"])), "brief", OPEN if drill["open_findings"] else ""),
    ]
    key = drill_key(drill["collection"], drill["drill_id"], DRILL_PAGE)
    # The dot keeps a name with a colon from being taken for a scheme.
    return {
        "collection": drill["collection"],
        "drill_id": drill["drill_id"],
        "verdict": drill["verdict"],
        "href": f"./{quote(key)}",
        "cells": cells,
    }
