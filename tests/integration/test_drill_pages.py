# Copyright (c) 2026, VectorOps contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages about drills in a real browser: on phones and on paper, light and dark, by keyboard and without script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.formats import drill_index, drill_page
from ansible_collections.vectorops.qdrant_dr.plugins.module_utils.operations.drills import (
    coverage_of,
    last_drills,
    summary_of,
)
from tests import made_drills
from tools.chromium import Chromium

Json = dict[str, Any]

# Texts whose contrast with the ground behind them is below 4.5 to 1 (WCAG 2.2, 1.4.3). Grounds are opaque or none.
LOW_CONTRAST = """(() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const light = text => rgb(text).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = node => {
    for (; node; node = node.parentElement) {
      const colour = getComputedStyle(node).backgroundColor;
      if (rgb(colour)[3] !== 0) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  return [...document.querySelectorAll('body *')].filter(node => node.checkVisibility()
    && [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim())).map(node => {
    const style = getComputedStyle(node);
    const [a, b] = [light(node.closest('svg') ? style.fill : style.color), light(ground(node))];
    return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), node.outerHTML.slice(0, 120)];
  }).filter(found => found[0] < 4.5);
})()"""
# Boxes that are wider than the window and letters that are cut off, but for those in what scrolls.
CUT_OFF = """[...document.querySelectorAll('body *')].filter(node => node.checkVisibility() && !node.closest('.scroll')
  && !node.closest('thead') && (node.getBoundingClientRect().right > innerWidth + 1
  || node.getBoundingClientRect().left < -1)).map(node => node.outerHTML.slice(0, 120))"""
CUT_OFF_TABLES = """[...document.querySelectorAll('table')].filter(node =>
  node.scrollWidth > node.parentElement.clientWidth + 1).length"""
OVERLAPPING = """[...document.querySelectorAll('svg')].flatMap(svg => {
  const boxes = [...svg.querySelectorAll('text')].map(node => [node.textContent, node.getBoundingClientRect()]);
  return boxes.flatMap(([name, a], i) => boxes.slice(i + 1).filter(([other, b]) => a.width && b.width
    && a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 3 && b.top < a.bottom - 3)
    .map(([other]) => name + ' on ' + other));
})"""
SHOWN = (
    "[...document.querySelectorAll('tbody tr')].filter(row => row.checkVisibility()).map(row => row.dataset.collection)"
)


def index() -> str:
    records = [made_drills.passed(-day, collection=["docs", "images", "products"][day % 3]) for day in range(5)]
    records += [made_drills.failed(-9, collection="docs"), made_drills.failover(-1), made_drills.hostile()]
    protected = ["docs", "never"]
    last = last_drills(records, protected)
    coverage, due = coverage_of(last, protected, 30, made_drills.DECLARED + timedelta(days=1))
    return drill_index.render("production", [summary_of(record) for record in records], coverage, due)


def slow() -> Json:
    """All stages and columns are near to the lines of the SLA."""
    record = made_drills.with_findings()
    record["sla"] = {"tier": None, "rto_seconds": 43, "rpo_seconds": 1.5}
    return record


PAGES: dict[str, Callable[[], str]] = {
    make.__name__: lambda make=make: drill_page.render(make())  # type: ignore[misc]
    for make in (
        made_drills.passed,
        made_drills.with_findings,
        made_drills.failed,
        made_drills.failover,
        made_drills.hostile,
        slow,
    )
} | {"index": index}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(tmp_path_factory.mktemp("browser") / "profile") as started:
        yield started


@pytest.fixture
def show(browser: Chromium, tmp_path: Path) -> Callable[..., Chromium]:
    """Call it as ``show(name of the page, **how)``."""

    def show(name: str, **how: Any) -> Chromium:
        page = tmp_path / f"{name}.html"
        page.write_text(PAGES[name](), encoding="utf-8")
        browser.open(page, **how)
        return browser

    return show


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [320, 390, 800, 1280])
def test_a_page_fits_its_window(show: Callable[..., Chromium], name: str, width: int) -> None:
    page = show(name, width=width)
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run("innerWidth") == width
    assert page.run(CUT_OFF) == []
    assert page.run(OVERLAPPING) == []


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_can_be_read(show: Callable[..., Chromium], name: str, dark: bool) -> None:
    page = show(name, dark=dark)
    lightness = page.run("getComputedStyle(document.body).backgroundColor")
    assert (lightness == "rgb(255, 255, 255)") is not dark
    assert page.run(LOW_CONTRAST) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fetches_nothing_and_runs_nothing_of_a_record(show: Callable[..., Chromium], name: str) -> None:
    page = show(name)
    fetched = [
        event["params"]["request"]["url"] for event in page.events if event["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in fetched if not url.endswith(f"/{name}.html")] == []
    said = [event for event in page.events if event["method"] in ("Log.entryAdded", "Runtime.consoleAPICalled")]
    assert said == []
    assert [event for event in page.events if event["method"] == "Page.javascriptDialogOpening"] == []
    blocked = page.run("""new Promise(done => {
      document.addEventListener('securitypolicyviolation', event => done(event.effectiveDirective));
      document.body.insertAdjacentHTML('beforeend', '<img src="http://127.0.0.1:9/x.png">');
    })""")
    assert blocked == "img-src", "what got in would be stopped by the policy"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_used_without_eyes_and_without_a_mouse(show: Callable[..., Chromium], name: str) -> None:
    page = show(name, width=800)
    assert page.run("[document.documentElement.lang, document.title.length > 9]") == ["en", True]
    assert page.run("['header', 'main', 'footer'].map(name => document.querySelectorAll('body > ' + name).length)") == [
        1,
        1,
        1,
    ]
    assert page.run("document.querySelectorAll('h1').length") == 1
    unnamed = "[...document.querySelectorAll('svg, section, nav, [role=region]')].filter(node => {"
    unnamed += " const ids = (node.getAttribute('aria-labelledby') || '').split(' ');"
    unnamed += (
        " return !node.getAttribute('aria-label') && !ids.every(id => document.getElementById(id)?.textContent.trim())"
    )
    unnamed += "}).map(node => node.outerHTML.slice(0, 90))"
    assert page.run(unnamed) == []
    assert page.run("[...document.querySelectorAll('thead th')].every(node => node.scope === 'col')")
    assert page.run(
        "[...document.querySelectorAll('tbody tr')].every(row => row.querySelectorAll('th[scope=row]').length === 1)"
    )
    ids = page.run("[...document.querySelectorAll('[id]')].map(node => node.id)")
    assert len(ids) == len(set(ids))
    scrolling = "[...document.querySelectorAll('body *')].filter(node => node.scrollWidth > node.clientWidth + 1"
    scrolling += " && /auto|scroll/.test(getComputedStyle(node).overflowX) && node.tabIndex !== 0).length"
    assert page.run(scrolling) == 0
    page.press("Tab")
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_what_is_read_aloud_of_a_table_on_a_phone_is_still_a_table(show: Callable[..., Chromium]) -> None:
    page = show("passed", width=390)
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    roles = [node.get("role", {}).get("value") for node in nodes]
    assert roles.count("table") == page.run("document.querySelectorAll('table').length")
    assert {"columnheader", "rowheader", "cell", "image"} <= set(roles)


def test_the_links_of_a_page_lead_to_its_sections(show: Callable[..., Chromium]) -> None:
    page = show("with_findings")
    assert page.run(
        "[...document.querySelectorAll('nav a')].every(link => document.querySelector(link.getAttribute('href')))"
    )
    assert page.run("document.querySelectorAll('nav a').length === document.querySelectorAll('main > section').length")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_printed_light_and_whole(show: Callable[..., Chromium], name: str) -> None:
    page = show(name, dark=True)
    assert page.printed().startswith(b"%PDF-")
    dark = {"name": "prefers-color-scheme", "value": "dark"}
    page.call("Emulation.setEmulatedMedia", media="print", features=[dark])
    # A4 without its margins, in CSS pixels.
    page.call("Emulation.setDeviceMetricsOverride", width=688, height=1000, deviceScaleFactor=1, mobile=False)
    assert page.run("getComputedStyle(document.documentElement).getPropertyValue('--ground').trim()") == "#ffffff"
    assert page.run("document.documentElement.scrollWidth") <= 688
    assert page.run(CUT_OFF_TABLES) == 0


def test_the_filters_of_the_index(show: Callable[..., Chromium]) -> None:
    page = show("index")
    change = "(name, value) => { const field = document.forms[0][name]; field.value = value;"
    change += " field.dispatchEvent(new Event('input', {bubbles: true})) }"
    assert len(page.run(SHOWN)) == 8
    page.run(f"({change})('collection', 'docs')")
    assert page.run(SHOWN) == ["docs", "docs", "docs"]
    page.run(f"({change})('verdict', 'FAIL')")
    assert page.run(SHOWN) == ["docs"]
    assert page.run("document.getElementById('shown').textContent") == "1 of 8 reports"
    page.run(f"({change})('verdict', ''); ({change})('collection', ''); ({change})('text', '  ALERT(1) ')")
    assert page.run(SHOWN) == [made_drills.hostile()["collection"].replace("\u202e", "\\u202e")]
    page.run(f"({change})('text', 'nowhere')")
    assert page.run(SHOWN) == []


def test_without_script_the_index_shows_all_drills_and_no_filters(show: Callable[..., Chromium]) -> None:
    page = show("index", script=False)
    page.call("Emulation.setScriptExecutionDisabled", value=False)
    assert len(page.run(SHOWN)) == 8
    assert page.run("document.forms[0].checkVisibility()") is False


def test_a_link_of_the_index_leads_to_the_report(show: Callable[..., Chromium]) -> None:
    page = show("index")
    link = page.run("[...document.querySelectorAll('tbody a')].pop().getAttribute('href')")
    assert link.startswith("./%D7%90%D7%91%20%27x%27%20%26%20%7B%7B%207%2B7%20%7D%7D%20%E2%80%AEcod.exe")
    assert link.endswith(f"/drills/{made_drills.drill_id()}/report.html")
