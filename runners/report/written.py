"""A comparison as text for programs and documents: JSON, CSV, Markdown and LaTeX, of the same results and verdicts."""

import json
from collections.abc import Sequence
from typing import Literal

from kancl.verdict import Rules
from runners.report import tables, verdict_tables
from runners.report.cost_table import cost_sheet
from runners.report.sheet import Sheet, as_latex
from runners.report.words import answers
from runners.results.mechanism import mechanisms
from runners.results.results import Results
from runners.results.verdicts import Comparison, frame
from runners.results.wide import seeds_frame, wide_frame

Rows = Literal["cells", "wide", "seeds", "scores", "verdicts"]


def as_json(results: Results, comparisons: Sequence[Comparison], rules: Rules, ascii_only: bool = False) -> str:
    """Return the cells, the verdicts, how they were reached, what they say in words, and whether overlap explains the loss.

    Args:
        results, comparisons, rules: what is compared, and how.
        ascii_only: whether letters beyond ASCII are written as escapes.
    """
    content = {
        "answers": answers(comparisons),
        "cells": json.loads(tables.results_as_json(results)),
        "verdicts": json.loads(frame(comparisons).to_json(orient="records", double_precision=15)),
        "method": verdict_tables.method(comparisons, rules),
        "overlap": [mechanism.to_json() for mechanism in mechanisms(results)],
    }
    return json.dumps(content, indent=1, ensure_ascii=ascii_only)


def as_csv(results: Results, comparisons: Sequence[Comparison], rows: Rows) -> str:
    """Return one table as CSV.

    Args:
        results, comparisons: what is compared.
        rows: what a row is: a cell's metric (``cells``), a cell with all its metrics (``wide``), a cell's seed with all its
            metrics (``seeds``), a score of a seed on one task after another (``scores``), or a verdict (``verdicts``).
    """
    frames = {
        "cells": lambda: results.summary,
        "wide": lambda: wide_frame(results.entries),
        "seeds": lambda: seeds_frame(results.entries),
        "scores": lambda: results.retention,
        "verdicts": lambda: frame(comparisons),
    }
    return tables.frame_as_csv(frames[rows]())


def as_markdown(results: Results, comparisons: Sequence[Comparison], rules: Rules) -> str:
    """Return a table of cells, a table of verdicts, and how these were reached."""
    parts = [tables.results_as_markdown(results), verdict_tables.verdicts_as_markdown(comparisons)]
    if comparisons:
        parts.append(verdict_tables.method(comparisons, rules) + "\n")
    parts += [f"Overlap and forgetting: {mechanism.sentence()}.\n" for mechanism in mechanisms(results)]
    return "\n".join(part for part in parts if part)


def as_latex_tables(results: Results, comparisons: Sequence[Comparison], rules: Rules) -> str:
    """Return the terminal's tables for LaTeX with the package booktabs: scores by scenario, costs, verdicts with the method."""
    sheets: list[Sheet] = []
    for (scenario,), entries in results.groups("scenario").items():
        sheets += [tables.score_sheet(scenario, entries), cost_sheet(entries)]
    sheets += verdict_tables.verdict_sheets(comparisons)
    method = [f"% {verdict_tables.method(comparisons, rules)}\n"] if comparisons else []
    return "\n".join(["% \\usepackage{booktabs}\n", *map(as_latex, sheets), *method])
