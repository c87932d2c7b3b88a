"""``kancl runs verify``: every file read, all damage named."""

from dataclasses import dataclass
from typing import Literal

from runners.cli.runs.folders import Folders


@dataclass(frozen=True)
class Verify:
    """Read every file of experiments and compare it with its checksum; name all that is damaged, and what is not kancl's.

    Nothing is written. The exit code is 1 if anything is damaged: the kancl run that made the folder, given again, makes
    that anew and leaves all else.
    """

    out: Folders
    """Folders that kancl run wrote."""
    format: Literal["text", "json"] = "text"
    """How to print it."""

    def execute(self) -> int:
        """Print all findings, and return the exit code."""
        from runners.cli.runs.folders import at_least_one, print_json
        from runners.cli.screen import make_console
        from runners.upkeep.verify import verify

        found = [verify(folder) for folder in at_least_one(self.out)]
        code = 1 if any(verified.of("damage") for verified in found) else 0
        if self.format == "json":
            print_json([verified.to_json() for verified in found])
            return code
        console = make_console()
        for verified in found:
            for finding in verified.of("note"):
                console.print(f"note: {finding}", style="dim", soft_wrap=True)
            for finding in verified.of("damage"):
                console.print(f"damaged: {finding}", style="red", soft_wrap=True)
            console.print(f"{verified.path}: {verified}", soft_wrap=True)
        return code
