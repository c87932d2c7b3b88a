"""Which stored results a command shows, and how it compares them: the options that ``compare`` and ``report`` share."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from runners.config.request import Said

if TYPE_CHECKING:
    from kancl.verdict import Rules
    from runners.results.results import Results
    from runners.results.verdicts import Comparison


@dataclass(frozen=True)
class Shown:
    """What is shown of which folders."""

    out: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="OUT ...", help_behavior_hint="")]
    """Folders that kancl run wrote."""
    scenarios: tuple[str, ...] = ()
    """Show these alone, as they were asked for, or by name with whatever options."""
    architectures: tuple[str, ...] = ()
    """Show these alone, likewise."""
    strategies: tuple[str, ...] = ()
    """Show these alone, likewise."""
    seeds: Said[int | str] = None
    """Show these seeds alone: how many, a range (16-31) or a list (3,5,8)."""
    against: Said[str] = None
    """Architecture to compare the others with; mlp if not given, and every pair where that was not run."""
    metric: Said[Literal["retention", "final", "forgetting", "learning"]] = None
    """What verdicts are about: retention, the final score, forgetting, or the learning score. Not given: the final score where
    tasks are classes of one head (class-incremental), retention elsewhere."""
    margin: float = 0.1
    """Learning scores further apart than this share of the gap from the best constant predictor to perfection forbid a verdict
    on retention or forgetting. At 0.1 what was learned can change a retention by a tenth, at worst by a fifth."""
    equivalence: Said[float] = None
    """Say equivalent if the 95 % interval of the difference lies within plus or minus this, in the unit of the metric; never if
    not given."""

    def results(self, verb: str) -> "Results":
        """Return the finished cells that are asked for.

        Args:
            verb: what the command is called, for a message that says how it is used.

        Raises:
            InputError: there are none, or no such scenario, architecture, strategy or seed.
        """
        from kancl.errors import InputError
        from runners.results.results import load

        if not self.out:
            raise InputError(f"name the folder that kancl run --out wrote, e.g. kancl {verb} runs/demo")
        results = load(*self.out)
        if not results.entries:
            damage = "".join(f"\n  - {line}" for line in results.damaged)
            raise InputError(f"{results.place} holds no finished cell yet; repeat the kancl run that made it{damage}")
        return results.select(self.scenarios, self.architectures, self.strategies, self.seeds)

    def rules(self) -> "Rules":
        """Return the bounds that verdicts keep to.

        Raises:
            InputError: one makes no sense.
        """
        from kancl.verdict import Rules

        return Rules(margin=self.margin, equivalence=self.equivalence)

    def comparisons(self, results: "Results") -> "list[Comparison]":
        """Return the verdicts on the results."""
        from runners.results.verdicts import compare

        return compare(results, self.against, self.rules(), self.metric)
