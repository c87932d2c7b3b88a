"""``kancl doctor``: what is installed and what works here, as text for a report of a bug."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Doctor:
    """Tell what is installed and what works here: versions, compiler and kernels, GPU, threads, caches, terminal.

    The text is plain, to be pasted into a report of a bug. The exit code is 0 unless something is broken without which
    nothing can be trained.
    """

    def execute(self) -> int:
        """Print what was found and return the exit code."""
        from runners.store.checkup import checkup

        found = checkup()
        width = max(len(line.name) for line in found)
        for line in found:
            print(f"{line.name:{width}}  {line.said}")
        broken = [line for line in found if line.broken]
        print(f"\n{len(broken)} broken: {', '.join(line.name for line in broken)}" if broken else "\nnothing is broken")
        return 1 if broken else 0
