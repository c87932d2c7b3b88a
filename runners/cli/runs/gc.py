"""``kancl runs gc``: files that a finished experiment can do without."""

from dataclasses import dataclass

from runners.cli.runs.folders import Flag, Folders


@dataclass(frozen=True)
class Gc:
    """Remove the checkpoints and histories of finished cells, and temporary files of processes that ended.

    All results stay as they are. What is lost is where a finished cell ended: with more tasks it is then trained from its
    beginning, not from there.
    """

    out: Folders
    """Folders that kancl run wrote."""
    dry_run: Flag = False
    """Remove nothing, and say what would go."""

    def execute(self) -> int:
        """Remove, say how many bytes were freed, and return the exit code."""
        from kancl.text import counted
        from runners.cli.runs.folders import at_least_one
        from runners.cli.screen import make_console
        from runners.upkeep.litter import litter, sweep

        console = make_console()
        for folder in at_least_one(self.out):
            found = litter(folder)
            if not self.dry_run:
                sweep(found)
            console.print(f"{folder}: {'would free' if self.dry_run else 'freed'} {found}", soft_wrap=True)
            if found.held:
                said = f"{counted(len(found.held), 'cell')} left alone, on which a process works: {', '.join(found.held[:5])}"
                console.print(said, style="yellow", soft_wrap=True)
        return 0
