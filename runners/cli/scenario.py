"""``kancl scenario``: write, check and look at tasks of one's own, or of kancl's."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from runners.config.request import Said

if TYPE_CHECKING:
    from kancl.options import Spec
    from scenarios.inspection.findings import Finding
    from scenarios.inspection.inspection import Inspection

MARKS = {"fine": "✓", "warning": "!", "fault": "✗"}
STYLES = {"fine": "green", "warning": "yellow", "fault": "red"}
Named = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SCENARIO")]


@dataclass(frozen=True)
class New:
    """Write a file with two scenarios to start from, one with numbers and one with classes for targets; it runs at once."""

    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE.py")]
    """The file to write; it must not exist yet."""
    name: str = "my_scenario"
    """Name of the first scenario, a Python name; the second is called NAME_classes."""

    def execute(self) -> int:
        """Write the file, print what to type next and return the exit code."""
        from runners.authoring.new_scenario import write_template
        from runners.cli.screen import make_console

        write_template(self.file, self.name)
        spec = shlex.quote(f"{self.file if self.file.is_absolute() else f'./{self.file}'}:{self.name}")
        say = make_console().print
        say(f"wrote {self.file} with the scenarios {self.name} and {self.name}_classes. Next:", soft_wrap=True)
        for command in (f"check {spec}", f"show {spec}"):
            say(f"  kancl scenario {command}", soft_wrap=True)
        say(f"  kancl run {spec} --architectures kan mlp --seeds 4", soft_wrap=True)
        return 0


@dataclass(frozen=True)
class Check:
    """Tell everything that is wrong with a scenario, at once: its file, signature, shapes, leaks, labels, seeds, advice.

    The exit code is 0 if it can be run, warnings or not, and 2 if it cannot.
    """

    scenario: Named
    """NAME, NAME:option=value,... or path/to/file.py:function."""
    data_root: Said[Path] = None
    """Folder of data files, for scenarios that read some; data if not given."""

    def execute(self) -> int:
        """Print every finding and return the exit code."""
        from rich.text import Text

        from kancl.options import parse_spec
        from runners.authoring.new_scenario import advice_findings
        from runners.cli.screen import make_console
        from scenarios.data.files import DATA_ROOT
        from scenarios.inspection.inspection import inspect_scenario

        spec = parse_spec(self.scenario)
        inspection = inspect_scenario(spec, self.data_root or DATA_ROOT)
        findings = list(inspection.findings)
        if inspection.scenario is not None and not inspection.faults:
            findings += advice_findings(self.scenario, inspection.scenario, self.data_root or DATA_ROOT)
        console = make_console()
        console.print(Text(spec.label, style="bold"), soft_wrap=True)
        for finding in sorted(findings, key=lambda finding: list(MARKS).index(finding.level)):
            line = Text(f"  {MARKS[finding.level]} ", style=STYLES[finding.level]).append(finding.text, style="default")
            console.print(line, soft_wrap=True)
        console.print(_verdict(findings, inspection), soft_wrap=True)
        return 2 if any(finding.level == "fault" for finding in findings) else 0


@dataclass(frozen=True)
class Show:
    """Print what a scenario consists of, and draw a preview of its tasks."""

    scenario: Named
    """NAME, NAME:option=value,... or path/to/file.py:function."""
    seed: int = 0
    """The seed whose tasks are shown."""
    figure: Said[Path] = None
    """File for the preview: PNG, SVG or PDF; NAME-preview.png in this folder if not given."""
    dpi: int = 150
    """Dots per inch of a PNG; 70 gives a picture of some 700 pixels for a web page."""
    no_figure: bool = False
    """Draw nothing."""
    data_root: Said[Path] = None
    """Folder of data files, for scenarios that read some; data if not given."""

    def execute(self) -> int:
        """Print, draw and return the exit code."""
        import inspect

        from rich.text import Text

        from kancl.errors import InputError, one_line
        from kancl.options import parse_spec
        from runners.authoring.scenario_tables import facts_sheet, null_note, overlap_note, overlap_sheet, tasks_sheet
        from runners.cli.docstrings import print_docstring
        from runners.cli.screen import make_console
        from runners.report.sheet import plain
        from scenarios import build_scenario, complete_scenario, scenarios
        from scenarios.data.files import DATA_ROOT, at_home

        asked = parse_spec(self.scenario)
        spec = complete_scenario(asked)
        scenario = build_scenario(spec, self.seed, self.data_root or DATA_ROOT)
        console = make_console()
        console.print(Text(asked.label, style="bold"), soft_wrap=True)
        print_docstring(console, inspect.getdoc(scenarios.get(spec.name)) or "no description")
        console.print()
        console.print(plain(facts_sheet(scenario, spec.options)))
        console.print()
        console.print(plain(tasks_sheet(scenario)))
        console.print(Text(null_note(scenario), style="dim"), soft_wrap=True)
        for name, overlap in scenario.overlap.items():
            console.print(Text(f"\n{overlap_note(name, overlap)}"), soft_wrap=True)
            console.print(plain(overlap_sheet(overlap)))
        if not self.no_figure:
            from runners.authoring.previews import draw_preview

            path = at_home(self.figure) if self.figure else _default_figure(asked)
            try:
                draw_preview(scenario, asked.label, path, self.seed, self.dpi)
            except InputError:
                raise
            except Exception as error:  # of the scenario's own target, or of matplotlib: what was printed stands
                make_console(stderr=True).print(f"the preview cannot be drawn: {one_line(error)}", style="red", soft_wrap=True)
                return 1
            console.print(f"\nwrote {path}", soft_wrap=True)
        return 0


@dataclass(frozen=True)
class Scenario:
    """Start, check and look at scenarios: your own files, installed packages', or kancl's."""

    action: tyro.conf.OmitSubcommandPrefixes[
        Annotated[New, tyro.conf.subcommand("new")]
        | Annotated[Check, tyro.conf.subcommand("check")]
        | Annotated[Show, tyro.conf.subcommand("show")]
    ]

    def execute(self) -> int:
        """Do what was chosen and return the exit code."""
        return self.action.execute()


def _verdict(findings: "list[Finding]", inspection: "Inspection") -> str:
    from kancl.text import counted

    faults, warnings = (sum(finding.level == level for finding in findings) for level in ("fault", "warning"))
    noticed = counted(warnings, "warning") if warnings else "no warnings"
    if faults:
        return f"cannot be run: {counted(faults, 'fault')}, {noticed}"
    scenario = inspection.scenario
    assert scenario is not None
    sizes = {"task": len(scenario.tasks), "input": scenario.inputs, "output": scenario.outputs or 0}
    listed = ", ".join(counted(count, thing) for thing, count in sizes.items())
    return f"can be run: {listed}, {scenario.loss}; {noticed}"


def _default_figure(spec: "Spec") -> Path:
    import re

    name = re.sub(r"[^\w.,=-]+", "-", Path(spec.label.split(".py:")[-1]).name)[:80]
    return Path(name.encode()[:200].decode(errors="ignore") + "-preview.png")
