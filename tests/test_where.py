"""What the pages say of the code's layout is so: paths and links lead somewhere, and names stand in the file that is told."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("benchmarks", "docs", "examples", "kancl", "runners", "scenarios", "tests")
PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
PATH = re.compile(rf"`((?:{'|'.join(PACKAGES)})/[\w./-]*)`")
NAMED = re.compile(r"`(\w+)`(?: (?:or|and) `(\w+)`)? (?:in|of) `((?:kancl|scenarios|runners|tests)/[\w/.]+\.py)`")
THINGS = (
    "architecture", "strategy", "metric of R", "metric of activations", "verb", "figure", "table", "scenario", "tracker",
    "executor", "optimiser", "policy option", "claim", "runner", "data set",
)  # fmt: skip


def lost_paths(text: str) -> list[str]:
    """Return the paths from the root that a page names and that are not there."""
    return [path for path in PATH.findall(text) if not (ROOT / path).exists()]


def lost_names(text: str) -> list[str]:
    """Return the names, each with its file, that do not stand there; ``NAME in path`` is how pages say it."""
    found = [(name, path) for *names, path in NAMED.findall(text) for name in names if name]
    return [f"{name} in {path}" for name, path in found if not re.search(rf"\b{name}\b", (ROOT / path).read_text())]


@pytest.mark.parametrize("page", PAGES)
def test_every_path_and_name_is_there(page: str) -> None:
    text = (ROOT / page).read_text()
    assert lost_paths(text) == []
    assert lost_names(text) == []
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []


def test_the_pages_name_paths() -> None:
    assert {"README.md", "docs/where.md", "docs/architecture.md"} <= set(PAGES)
    assert all(len(PATH.findall((ROOT / "docs" / page).read_text())) > 50 for page in ("where.md", "architecture.md"))


def test_what_is_lost_is_found() -> None:
    assert lost_paths("`runners/run.py`, `runners/walk.py` and `tests/`") == ["runners/walk.py"]
    said = "`RUNNERS` in `runners/run.py`, `WALKERS` or `RUNNERS` in `runners/run.py`"
    assert lost_names(said) == ["WALKERS in runners/run.py"]


def test_there_is_a_row_for_every_thing_that_is_added() -> None:
    page = (ROOT / "docs" / "where.md").read_text().partition("## Inside")[2]
    rows = re.findall(r"^\| ([^|]+) \|", page, re.MULTILINE)
    assert set(THINGS) <= set(rows)
