"""The whole report as one file that asks for nothing from anywhere: style, script, figures and data are in it."""

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from kancl import __version__
from kancl.verdict import Rules
from runners.report.figures.data import Lost
from runners.report.html.markup import Markup, tag, together
from runners.report.html.sections import Section, sections
from runners.report.numbers import counts
from runners.results.results import Results
from runners.results.verdicts import Comparison
from runners.store.files import write_atomically


def report(results: Results, comparisons: Sequence[Comparison], rules: Rules, lost: Lost) -> str:
    """Return the report as HTML.

    Args:
        results: what is shown.
        comparisons: the verdicts on them.
        rules: that the verdicts keep to.
        lost: hears of figures that cannot be made, and why; the others are in it.
    """
    style, script = (Markup(files(__package__).joinpath(f"report.{kind}").read_text()) for kind in ("css", "js"))
    parts = list(sections(results, comparisons, rules, lost))
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"kancl: {_name(results)}"),
        tag("style", style),
    )
    body = tag("body", _top(results, parts), tag("main", *map(_section, parts), id="main"), _foot(), tag("script", script))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def write_report(path: Path, results: Results, comparisons: Sequence[Comparison], rules: Rules, lost: Lost) -> None:
    """Write the report whole or not at all; see :func:`report`.

    Raises:
        StorageError: the file cannot be written.
    """
    content = report(results, comparisons, rules, lost).encode(errors="backslashreplace")
    write_atomically(path, lambda file: file.write(content))


def _policy(script: str) -> str:
    """Return what the page may do: run this script and nothing else, and ask for nothing."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:"


def _name(results: Results) -> str:
    return ", ".join(path.resolve().name for path in results.paths)


def _top(results: Results, parts: Sequence[Section]) -> Markup:
    entries = results.entries
    seeds = counts([len(entry.cell.seeds) for entry in entries], "seed")
    told = f"{counts([len(entries)], 'cell')} of {results.place}, {seeds} each"
    themes = {"": "as the system", "light": "light", "dark": "dark"}
    options = [tag("option", text, value=value) for value, text in themes.items()]
    theme = tag("label", "Colours ", tag("select", *options, id="theme"), class_="theme")
    links = [tag("li", tag("a", part.title, href=f"#{part.name}")) for part in parts]
    return together(
        [
            tag("a", "To the answer", href="#main", class_="skip"),
            tag("header", tag("div", tag("h1", "Does it forget?"), tag("p", told), class_="titles"), theme),
            tag("nav", tag("ul", *links), aria_label="Sections"),
        ]
    )


def _section(part: Section) -> Markup:
    title = f"{part.name}-title"
    return tag("section", tag("h2", part.title, id=title), part.content, id=part.name, aria_labelledby=title)


def _foot() -> Markup:
    told = tag("p", f"Made by kancl {__version__}. This file holds everything it shows and asks for nothing.")
    without = tag("noscript", tag("p", "Without scripts nothing can be switched or downloaded; everything is shown."))
    return together([tag("footer", told, without), tag("div", id="told", role="status")])
