# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The style of the pages about drills: one column, light and dark, on screens of any width and on paper.

All pairs of colours of a text and its ground have a contrast of at least 4.5 to 1 (WCAG 2.2, 1.4.3), which a test
measures in a browser.
"""

from __future__ import annotations

_LIGHT = """
  --ground: #ffffff; --panel: #f6f7f9; --line: #d9dee4; --ink: #1a1f26; --soft: #58626e; --accent: #2b5c8f;
  --pale: #a9bfd6; --good: #146c38; --good-ground: #e7f5ec; --bad: #a61b29; --bad-ground: #fdecee; --open: #7a4d00;
  --open-ground: #fdf3dd;
"""
_DARK = """
  --ground: #13171c; --panel: #1b2027; --line: #333b45; --ink: #e8ebef; --soft: #a6b0bc; --accent: #7fb2e5;
  --pale: #47617b; --good: #78d39a; --good-ground: #15301f; --bad: #ff9ea6; --bad-ground: #3b181c; --open: #efc067;
  --open-ground: #34280c;
"""
STYLE = (
    ":root { color-scheme: light dark;" + _LIGHT + "}\n"
    "@media screen and (prefers-color-scheme: dark) { :root {" + _DARK + "} }\n"
    """
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI",
  Roboto, "Noto Sans", "Helvetica Neue", Arial, sans-serif; font-variant-numeric: tabular-nums; }
header, main, footer { max-width: 68rem; margin: 0 auto; padding: 0 1.5rem; }
header { padding-top: 3rem; }
h1, h2, h3 { line-height: 1.25; overflow-wrap: anywhere; text-wrap: balance; }
h1 { font-size: clamp(1.6rem, 1.2rem + 2vw, 2.4rem); font-weight: 650; letter-spacing: -0.015em;
  margin: 0.1rem 0 1.25rem; }
h2 { font-size: 1.3rem; font-weight: 650; letter-spacing: -0.005em; margin: 0 0 0.5rem; }
h3, caption { font-size: 0.95rem; font-weight: 600; text-align: left; }
h3 { margin: 1.75rem 0 0.5rem; }
p { margin: 0.25rem 0 0.75rem; max-width: 46rem; overflow-wrap: anywhere; }
a { color: var(--accent); text-underline-offset: 0.15em; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 2px; }
.soft { color: var(--soft); } code.soft { white-space: nowrap; }
.eyebrow { color: var(--soft); font-size: 0.95rem; margin: 0; }
code { font: 0.875em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  overflow-wrap: anywhere; font-variant-ligatures: none; }
.verdict { display: inline-block; font-size: 1.35rem; font-weight: 650; line-height: 1.3; padding: 0.4rem 1rem;
  border-radius: 0.4rem; }
.good { color: var(--good); } .bad { color: var(--bad); } .open { color: var(--open); }
.verdict.good { background: var(--good-ground); } .verdict.bad { background: var(--bad-ground); }
.verdict.open { background: var(--open-ground); }
.mark { display: inline-block; min-width: 1.25em; font-weight: 700; }
.failure { border-left: 4px solid var(--bad); background: var(--bad-ground); padding: 0.75rem 1rem;
  margin: 1.25rem 0 0; }
.failure p { margin: 0.2rem 0; }
.glance { display: flex; flex-wrap: wrap; gap: 1rem 3.5rem; margin: 1.5rem 0 0; }
.glance div { min-width: 11rem; }
.glance dt { color: var(--soft); font-size: 0.95rem; }
.glance dd { margin: 0; }
.glance .measured { display: block; font-size: 1.7rem; font-weight: 650; line-height: 1.25; letter-spacing: -0.01em; }
nav ul { display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; list-style: none; margin: 2rem 0 0; padding: 0.9rem 0;
  border-top: 1px solid var(--line); border-bottom: 1px solid var(--line); font-size: 0.95rem; }
section { padding: 2.25rem 0 0; }
.facts { display: grid; grid-template-columns: minmax(9rem, 14rem) minmax(0, 1fr); gap: 0.4rem 1.5rem;
  margin: 0.75rem 0; }
.facts dt { color: var(--soft); } .facts dd { margin: 0; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: 1.25rem 0 0; }
table { width: 100%; border-collapse: collapse; font-size: 0.925rem; }
caption { padding-bottom: 0.4rem; }
th, td { text-align: left; vertical-align: top; padding: 0.5rem 1rem 0.5rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; min-width: 4.5rem; }
th { font-weight: 600; } tbody th { min-width: 7rem; } thead th { color: var(--soft); font-weight: 500;
  font-size: 0.85rem; white-space: nowrap;
  overflow-wrap: normal; }
.figure, .brief { white-space: nowrap; } td:last-child { min-width: 9rem; } td.brief { min-width: 4.5rem; }
td.long { min-width: 14rem; } td.name { min-width: 8rem; }
.none { color: var(--soft); margin: 0; }
pre { background: var(--panel); border: 1px solid var(--line); border-radius: 0.4rem; padding: 0.9rem 1rem;
  margin: 1rem 0 0;
  white-space: pre-wrap; overflow-wrap: anywhere; }
.picture { display: block; margin: 0.75rem 0 0.25rem; overflow: visible; }
.picture text { fill: var(--ink); font-size: 13px; } .picture .soft { fill: var(--soft); }
.picture .tick { fill: var(--soft); font-size: 11.5px; } .picture .now { fill: var(--ink); font-weight: 600; }
.picture .end { text-anchor: end; } .picture .middle { text-anchor: middle; }
.track { fill: var(--panel); } .axis { stroke: var(--line); stroke-width: 1; }
.bar.counted { fill: var(--accent); } .bar.before { fill: var(--pale); } .bar.failed { fill: var(--bad); }
.bar.uncounted { fill: var(--ground); stroke: var(--soft); stroke-width: 1.5; stroke-dasharray: 3 2; }
.limit { stroke: var(--open); stroke-width: 1.5; stroke-dasharray: 5 4; }
.picture .limit-label { fill: var(--open); font-weight: 600; }
.picture .halo { paint-order: stroke; stroke: var(--ground); stroke-width: 4px; stroke-linejoin: round; }
.picture .cross { fill: var(--bad); font-weight: 700; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)); gap: 1rem 3rem; }
.charts h3 { margin-top: 0.75rem; }
footer { margin-top: 3rem; padding-top: 1rem; padding-bottom: 3rem; color: var(--soft); font-size: 0.875rem; }
footer p { max-width: none; }
form { display: flex; flex-wrap: wrap; gap: 0.75rem 1.25rem; margin: 1.5rem 0 0; align-items: end; }
form label { align-content: end; display: grid; gap: 0.2rem; color: var(--soft); font-size: 0.875rem;
  flex: 0 1 14rem; min-width: 0; }
select, input { font: inherit; color: var(--ink); background: var(--ground); border: 1px solid var(--soft);
  border-radius: 0.35rem; padding: 0.4rem 0.6rem; width: 100%; height: 2.4rem; }
[hidden] { display: none !important; }
@media (max-width: 44rem) {
  header, main, footer { padding-left: 1.1rem; padding-right: 1.1rem; }
  header { padding-top: 1.75rem; }
  .facts { grid-template-columns: minmax(0, 1fr); gap: 0; } .facts dd { margin-bottom: 0.6rem; }
  table.stack, .stack tbody, .stack tr, .stack td, .stack tbody th { display: block; }
  .stack thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .stack caption { display: block; } .stack tr { border-bottom: 1px solid var(--line); padding: 0.6rem 0; }
  .stack td, .stack tbody th { border: 0; padding: 0.1rem 0; min-width: 0; white-space: normal; }
  .stack td { display: grid; grid-template-columns: 6.5rem minmax(0, 1fr); gap: 0.75rem; }
  .stack td::before { content: attr(data-head); color: var(--soft); font-size: 0.85rem; }
}
@media print {
  @page { margin: 16mm 14mm; }
  body { font-size: 10pt; } header { padding-top: 0; } header, main, footer { max-width: none; padding-left: 0;
    padding-right: 0; }
  nav, form { display: none; } section { padding-top: 1.25rem; } .scroll { overflow: visible; }
  table { font-size: 8.5pt; } th, td { min-width: 0; padding-right: 0.5rem; }
  td.long, td:last-child, td.brief, tbody th { min-width: 0; }
  td.figure { white-space: normal; } h2, h3, caption { break-after: avoid;
    } tr, .picture, .charts > div { break-inside: avoid; }
  tbody tr:first-child, .facts dd { break-before: avoid; } .charts { grid-template-columns: 1fr; }
  .verdict, .failure, .bar, .track { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
)
