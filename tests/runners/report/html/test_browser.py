"""The report in a browser: it opens without a word and without a request, can be used by mouse and keyboard, and can be read.

One browser serves the whole file. It is looked for in the usual places; where there is none the tests say so, and fail where
``CI`` says that they have to run.
"""

import csv
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runners.cli.report import Report

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = f"no browser is there to look at the report with: {' or '.join(NAMES)} (Debian: apt-get install chromium)"


def browser_path() -> str:
    """The browser of this machine."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        if os.environ.get("CI", "").lower() in ("1", "true"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="pip install 'kancl[dev]' brings what drives the browser")
    path = browser_path()
    with api.sync_playwright() as driver:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        opened = driver.chromium.launch(executable_path=path, args=sandbox)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def file(stored: Path) -> Path:
    report = Report((stored,))
    return report.write(report.results("report"), stored.parent / "browser.html")


@pytest.fixture(scope="module")
def page(browser: Any, file: Path) -> Iterator[Any]:
    """The report, opened once; ``page.told`` has what it said and what it asked for."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    opened = context.new_page()
    told: list[str] = []
    opened.on("console", lambda message: told.append(message.text))
    opened.on("pageerror", lambda error: told.append(str(error)))
    opened.on("dialog", lambda dialog: told.append(dialog.message))
    opened.on("request", lambda request: told.append(request.url))
    opened.goto(file.as_uri())
    yield opened, told
    context.close()


def test_it_opens_without_a_word_and_asks_for_nothing(page: Any, file: Path) -> None:
    opened, told = page
    assert told == [file.as_uri()]
    assert opened.evaluate("performance.timing.loadEventEnd - performance.timing.navigationStart") < 2000
    assert opened.title().startswith("kancl")


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read(page: Any, width: int, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    opened, _ = page
    opened.set_viewport_size({"width": width, "height": 900})
    opened.emulate_media(color_scheme=scheme)
    opened.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    options = {"resultTypes": ["violations"], "runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]}
    found = Axe().run(opened, options=options).response["violations"]
    serious = [(own["id"], own["nodes"][0]["html"][:200]) for own in found if own["impact"] in ("serious", "critical")]
    assert serious == []


def test_switches_work_by_mouse_and_keyboard(page: Any) -> None:
    opened, _ = page
    opened.set_viewport_size({"width": 1280, "height": 900})
    section = opened.locator("#scenario-1")
    switches = section.locator(".switches")
    panels = section.locator("figure").first.locator(".panel:visible")
    assert panels.count() == 4
    switches.get_by_label("mlp:hidden=5").click()
    assert panels.count() == 2
    switches.get_by_label("joint").focus()
    opened.keyboard.press("Space")
    assert panels.count() == 1
    switches.get_by_label("mlp:hidden=5").click()
    switches.get_by_label("joint").click()
    assert panels.count() == 4

    figure = section.locator("figure").first
    traces = figure.locator(".panel").first.locator("g[data-task]")
    visible = "(groups) => groups.map((group) => getComputedStyle(group).display !== 'none')"
    figure.locator("[data-switch=task]").nth(1).press("Space")
    assert traces.evaluate_all(visible) == [True, False, True]
    figure.locator("[data-switch=task]").nth(1).click()
    seeds = "(lines) => lines.filter((line) => getComputedStyle(line).display !== 'none').length"
    lines = figure.locator(".panel").first.locator(".seed")
    assert lines.evaluate_all(seeds) == 0
    figure.get_by_label("single seeds").check()
    assert lines.evaluate_all(seeds) == 18
    figure.get_by_label("median and band").focus()
    opened.keyboard.press("Space")
    assert lines.evaluate_all(seeds) == 0


def test_values_are_told_under_the_pointer_and_by_arrows(page: Any) -> None:
    opened, _ = page
    curves = opened.locator("svg.curves").first
    curves.scroll_into_view_if_needed()
    box = curves.bounding_box()
    opened.mouse.move(box["x"] + box["width"] * 0.97, box["y"] + box["height"] / 2)
    told = opened.locator("#told")
    assert told.is_visible()
    assert told.inner_text().startswith("in task 3")
    opened.mouse.move(0, 0)
    assert not told.is_visible()
    curves.focus()
    opened.keyboard.press("ArrowRight")
    assert told.inner_text().startswith("before training")
    opened.keyboard.press("ArrowRight")
    assert told.inner_text().startswith("in task 1")
    assert len(told.inner_text().splitlines()) == 4
    opened.keyboard.press("Escape")
    assert not told.is_visible()


def test_figures_and_data_can_be_taken_along(page: Any, tmp_path: Path) -> None:
    import xml.etree.ElementTree as ElementTree

    opened, told = page
    figure = opened.locator("#scenario-2 figure").first
    with opened.expect_download() as waiting:
        figure.locator(".as-csv").click()
    waiting.value.save_as(tmp_path / "a.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text())))
    assert rows[0]["task_name"] == "</script><b>bold<…"
    assert {row["strategy"] for row in rows} == {"naive", "joint"}
    with opened.expect_download() as waiting:
        figure.locator(".as-svg").click()
    waiting.value.save_as(tmp_path / "a.svg")
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    assert len(root.findall("{http://www.w3.org/2000/svg}svg")) > 4
    assert "light-dark" not in (tmp_path / "a.svg").read_text()
    assert all(message.startswith("blob:") for message in told[1:])


def test_colours_can_be_chosen_and_print_is_light(page: Any) -> None:
    opened, _ = page
    ground = "getComputedStyle(document.body).backgroundColor"
    opened.emulate_media(color_scheme="light")
    light = opened.evaluate(ground)
    opened.get_by_label("Colours").select_option("dark")
    assert opened.evaluate(ground) != light
    opened.emulate_media(media="print")
    assert opened.evaluate(ground) == light
    assert not opened.locator("nav").is_visible()
    opened.set_viewport_size({"width": 794, "height": 1123})
    assert opened.evaluate("document.documentElement.scrollWidth") <= 794
    narrow = "(texts) => texts.filter((text) => text.offsetWidth < 60).length"
    assert opened.locator(".panel .title b:visible").evaluate_all(narrow) == 0
    opened.set_viewport_size({"width": 1280, "height": 900})
    opened.emulate_media(media="screen")
    opened.get_by_label("Colours").select_option("")
    assert opened.evaluate(ground) == light
