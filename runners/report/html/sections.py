"""The sections of the report, in the order in which one reads: the answer first, where it comes from last."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kancl.errors import one_line
from kancl.verdict import Rules
from runners.report.cost_table import COST_NOTES, cost_sheet
from runners.report.evaluation_time import evaluation_line
from runners.report.figures.data import Lost
from runners.report.figures.headline_data import headline
from runners.report.figures.intervals import intervals
from runners.report.html.figure import figure, switches
from runners.report.html.headline import draw as draw_headline
from runners.report.html.intervals import draw as draw_intervals
from runners.report.html.markup import Markup, tag, together
from runners.report.html.panels import figures_of, guarded, left_out, short_scenario
from runners.report.html.sheets import table
from runners.report.policy_table import policy_sheet
from runners.report.provenance import command_sheet, environment_sheet, hash_sheet, provenance
from runners.report.sheet import Sheet
from runners.report.tables import formulas, score_sheet
from runners.report.verdict_tables import NOTHING, method, verdict_sheets
from runners.report.words import answers
from runners.results.results import Results
from runners.results.verdicts import Comparison


@dataclass(frozen=True)
class Section:
    """A part of the page with a title, and a name that links lead to."""

    name: str
    title: str
    content: Markup


def sections(results: Results, comparisons: Sequence[Comparison], rules: Rules, lost: Lost) -> Iterator[Section]:
    """Yield the sections of a report.

    Args:
        results: what is shown.
        comparisons: the verdicts on them.
        rules: that the verdicts keep to.
        lost: hears of figures that cannot be made, and why; the page tells of them as well, and has the others.
    """
    undrawn: list[str] = []

    def left_alone(name: str, error: Exception) -> None:
        undrawn.append(f"cannot be drawn, and left out: {name} ({one_line(error)})")
        lost(name, error)

    yield Section("answer", "The answer", _answer(comparisons))
    yield Section("verdicts", "Verdicts", _verdicts(comparisons, rules, left_alone))
    scores = {scenario: score_sheet(scenario, entries) for (scenario,), entries in results.groups("scenario").items()}
    with guarded("headline", left_alone):
        if (glance := headline(results, comparisons)).blocks:
            yield Section("glance", "At a glance", figure(draw_headline("headline", glance)))
    drawn = figures_of(results, comparisons, left_alone)
    for place, ((scenario,), entries) in enumerate(results.groups("scenario").items(), 1):
        names = {part: list(dict.fromkeys(entry.labels[part] for entry in entries)) for part in ("architecture", "strategy")}
        sheet = scores[scenario]
        shown = table(sheet, f"scores-{place}", title=f"Scores: {sheet.title.removeprefix(scenario).strip()}")
        figures = together(figure(one) for one in drawn.get(scenario, ()))
        yield Section(
            f"scenario-{place}", short_scenario(scenario), together([shown, switches(names) if figures else None, figures])
        )
    yield Section("cost", "Cost", _cost(results))
    yield Section("policies", "Policies and tuning", table(policy_sheet(results.entries), "policies", title=""))
    yield Section("warnings", "Warnings", _warnings(results, scores, undrawn))
    yield Section("formulas", "What the columns mean", tag("ul", *(tag("li", line) for line in (*formulas(), *COST_NOTES))))
    yield Section("origin", "Where it comes from", _origin(results))


def _answer(comparisons: Sequence[Comparison]) -> Markup:
    if not comparisons:
        return tag("p", NOTHING, class_="doubtful")
    told = []
    for line in answers(comparisons):
        where, mark, rest = line.partition(": ")
        told.append(tag("li", tag("b", f"{where}{mark}"), rest))
    return tag("ul", *told, class_="answers")


def _verdicts(comparisons: Sequence[Comparison], rules: Rules, lost: Lost) -> Markup:
    if not comparisons:
        return tag("p", NOTHING, class_="doubtful")
    drawn = []
    with guarded("verdicts", lost):
        drawn += [draw_intervals(f"verdicts-{place}", data) for place, data in enumerate(intervals(comparisons), 1)]
    sheets = [table(sheet, f"verdict-table-{place}") for place, sheet in enumerate(verdict_sheets(comparisons), 1)]
    folded = tag("details", tag("summary", "The numbers behind the verdicts"), *sheets)
    return together([*map(figure, drawn), folded, tag("p", method(comparisons, rules), class_="note")])


def _cost(results: Results) -> Markup:
    groups = results.groups("scenario").items()
    return together(
        table(cost_sheet(entries), f"cost-{place}", title=short_scenario(scenario))
        for place, ((scenario,), entries) in enumerate(groups, 1)
    )


def _warnings(results: Results, scores: Mapping[str, Sheet], undrawn: Sequence[str]) -> Markup:
    found = [f"damaged: {line}" for line in results.damaged]
    found += [f"not finished, and left out: {name}" for name in results.missing]
    found += [f"{scenario}: {note}" for scenario, sheet in scores.items() for note in sheet.notes]
    found += [*undrawn, *left_out(results)]
    slow = evaluation_line(results.entries)
    found += [slow] if slow else []
    if not found:
        return tag("p", "None.")
    return tag("ul", *(tag("li", line) for line in found), class_="warnings")


def _origin(results: Results) -> Markup:
    found = provenance(results)
    folders = [tag("li", tag("code", folder), f" (experiment.json: SHA-256 {digest})") for folder, digest in found.folders]
    sheets = [table(command_sheet(found), "commands"), table(environment_sheet(found), "environment")]
    folded = tag("details", tag("summary", "Cells and their hashes"), table(hash_sheet(found), "hashes", title=""))
    return together([tag("ul", *folders), *sheets, folded])
