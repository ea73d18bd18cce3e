# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of a drill's report as inline SVG.

Places along the width are in percent and everything else is in pixels, so that letters keep their size on a phone. The
colours are those of the page (``drill_style``). All texts are figures and names from closed lists.
"""

from __future__ import annotations

from datetime import timezone
from html import escape
from typing import Any

from .drill_kind import kind_of
from .drill_record import UNCOUNTED
from .drill_words import duration, words
from .times import parse_moment

Json = dict[str, Any]

_ROW = 46
_TOP, _BOTTOM = 30, 26
_PLOT = 150
# A limit so many times beyond what was measured stands at the edge, since it would press the figures flat.
_BEYOND = 4.0


def timeline(record: Json) -> str:
    """The stages on a scale of seconds since the declaration, with the line of the SLA's RTO."""
    declared = parse_moment(record["declared"]["at"], "at")
    spans = [
        (stage, (parse_moment(stage["begun"], "begun") - declared).total_seconds())
        for stage in record["stages"]
        if stage["begun"] is not None
    ]
    if not spans:
        return ""
    demanded = record["sla"]["rto_seconds"]
    last = max(begun + stage["seconds"] for stage, begun in spans) or 1.0
    beyond = demanded > last * _BEYOND
    whole = (last if beyond else max(last, demanded)) * 1.06
    height = _TOP + _ROW * len(spans) + _BOTTOM
    shapes = [_limit(100 if beyond else 100 * demanded / whole, height - _BOTTOM, f"RTO {duration(demanded)}", beyond)]
    for row, (stage, begun) in enumerate(spans):
        shapes += _bar(stage, _TOP + row * _ROW, 100 * max(0.0, begun) / whole, 100 * stage["seconds"] / whole)
    shapes += _scale(whole, height)
    return _picture("timeline", height, f"Timeline of the {kind_of(record).name}", _told(record, spans), shapes)


def _told(record: Json, spans: list[tuple[Json, float]]) -> str:
    each = [
        f"{words(stage['name'])} {stage['outcome']}, from {duration(max(0.0, begun))} for {duration(stage['seconds'])}"
        for stage, begun in spans
    ]
    return f"{'; '.join(each)}. The SLA demands an RTO of {duration(record['sla']['rto_seconds'])}."


def _bar(stage: Json, top: int, left: float, width: float) -> list[str]:
    kind = "failed" if stage["outcome"] == "failed" else "uncounted" if stage["name"] in UNCOUNTED else "counted"
    note = {"failed": " \u00b7 failed", "uncounted": " \u00b7 not counted", "counted": ""}[kind]
    told = f'<tspan class="soft" dx="8">{duration(stage["seconds"])}{note}</tspan>'
    return [
        f'<text x="0" y="{top + 14}" class="label halo">{words(stage["name"])}{told}</text>',
        f'<rect x="0" y="{top + 21}" width="100%" height="12" class="track"/>',
        f'<rect x="{left:.3f}%" y="{top + 21}" width="{max(width, 0.5):.3f}%" height="12" class="bar {kind}"/>',
    ]


def _limit(place: float, bottom: int, text: str, beyond: bool) -> str:
    anchor = "end" if place > 55 else "start"
    shift = -6 if place > 55 else 6
    told = f"{text}, beyond this scale" if beyond else text
    line = f'<line x1="{place:.3f}%" x2="{place:.3f}%" y1="4" y2="{bottom}" class="limit"/>'
    label = f'<text x="{place:.3f}%" dx="{shift}" y="15" class="label limit-label {anchor}">{told}</text>'
    return line + label


def _scale(whole: float, height: int) -> list[str]:
    y = height - 6
    return [
        f'<text x="0" y="{y}" class="tick">declared</text>',
        f'<text x="50%" y="{y}" class="tick middle">{duration(whole / 2)}</text>',
        f'<text x="100%" y="{y}" class="tick end">{duration(whole)}</text>',
    ]


def history(record: Json, name: str) -> str:
    """RTO or RPO (``name``) of the last drills as columns, oldest first, with the line of the SLA."""
    field = f"{name.lower()}_seconds"
    drills = [*record["previous"], {**record, "declared_at": record["declared"]["at"]}]
    demanded = record["sla"][field]
    top = max((drill[field] or 0.0 for drill in drills), default=0.0) or 1.0
    beyond = demanded > top * _BEYOND
    whole = (top if beyond else max(top, demanded)) * 1.12
    height = _TOP + _PLOT + 2 * _BOTTOM
    base = _TOP + _PLOT
    y = _TOP if beyond else base - _PLOT * demanded / whole
    told = f"SLA {duration(demanded)}{', beyond this scale' if beyond else ''}"
    shapes = [f'<line x1="0" x2="100%" y1="{base}" y2="{base}" class="axis"/>']
    for number, drill in enumerate(drills):
        shapes += _column(drill, drill[field], demanded, base, _PLOT / whole, number, len(drills))
    shapes += _figures([drill[field] for drill in drills])
    shapes += [
        f'<line x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}" class="limit"/>',
        f'<text x="0" y="{y - 6:.1f}" class="label limit-label halo">{told}</text>',
    ]
    kind = kind_of(record)
    last = f"{len(drills)} drills" if kind.is_drill else f"{len(drills) - 1} drills, and of this {kind.name}"
    title = f"{name} of the last {last}"
    return _picture(f"history-{name.lower()}", height, title, _listed(drills, field, demanded), shapes)


def _listed(drills: list[Json], field: str, demanded: float) -> str:
    each = [f"{_day(drill)}: {_reached(drill[field])}" for drill in drills]
    return f"{'; '.join(each)}. The SLA demands {duration(demanded)}."


def _day(drill: Json) -> str:
    return f"{parse_moment(drill['declared_at'], 'declared_at').astimezone(timezone.utc):%Y-%m-%d}"


def _column(
    drill: Json, seconds: float | None, demanded: float, base: int, scale: float, number: int, count: int
) -> list[str]:
    """One drill: its column, or a cross where nothing was reached, above its day."""
    slot = 100 / max(count, 4)
    middle = (number + 0.5) * slot
    newest = number == count - 1
    # Every other day is named where all would not fit beside each other on a phone.
    told = _day(drill)[5:] if count <= 6 or (count - number) % 2 else ""
    day = f'<text x="{middle:.3f}%" y="{base + 17}" class="tick middle{" now" if newest else ""}">{told}</text>'
    if seconds is None:
        return [day, f'<text x="{middle:.3f}%" y="{base - 6}" class="cross middle">\u2715</text>']
    tall = max(2.0, seconds * scale)
    kind = "failed" if seconds > demanded else "counted" if newest else "before"
    column = (
        f'<rect x="{middle - slot * 0.3:.3f}%" y="{base - tall:.1f}" width="{slot * 0.6:.3f}%" height="{tall:.1f}"'
        f' class="bar {kind}"/>'
    )
    return [day, column]


def _figures(values: list[float | None]) -> list[str]:
    """The newest and the highest figure, below their columns, where there is room for both."""
    y = _TOP + _PLOT + 34
    slot = 100 / max(len(values), 4)
    newest = len(values) - 1
    highest = max(range(len(values)), key=lambda number: values[number] or 0.0)
    shapes = []
    for number in {newest, highest} if newest - highest > 3 else {newest}:
        wide = number > 2 and number == newest
        place = (number + (1.0 if wide else 0.5)) * slot
        side = "end" if wide else "start" if number == 0 else "middle"
        left = 0.0 if side == "start" else place
        shapes.append(f'<text x="{left:.3f}%" y="{y}" class="tick {side} now">{_reached(values[number])}</text>')
    return shapes


def _reached(seconds: float | None) -> str:
    return "none" if seconds is None else duration(seconds)


def _picture(name: str, height: int, title: str, told: str, shapes: list[str]) -> str:
    return (
        f'<svg class="picture" width="100%" height="{height}" role="img" aria-labelledby="{name}-name {name}-told">'
        f'<title id="{name}-name">{escape(title)}</title><desc id="{name}-told">{escape(told)}</desc>'
        f"{''.join(shapes)}</svg>"
    )
