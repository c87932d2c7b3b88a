"""A stored experiment for the report, with names of users that are markup, formulas and control characters at once."""

from pathlib import Path

import pytest

NAMES = ["</script><b>bold</b>", "$x$ & \"quoted\" 'too'", "two\nlines \x1b[31m", "<img onerror=x()>", "a\ud800b"]
SCENARIO = f"""
import numpy as np
from scenarios import Scenario, Task

def named(seed: int) -> Scenario:
    "Tasks with odd names."
    rng = np.random.default_rng(seed)
    def task(name, n):
        x = rng.uniform(n, n + 1, (30, 1))
        return Task(name, train=(x[:20], np.sin(x[:20])), test=(x[20:], np.sin(x[20:])))
    return Scenario([task(name, n) for n, name in enumerate({NAMES!r})], loss="mse")
"""
FILE = "<i>&$x$.py"


@pytest.fixture(scope="package")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run of two scenarios, two architectures and two strategies; one scenario is a file with an odd name."""
    from runners.cli.main import main

    folder = tmp_path_factory.mktemp("report")
    (folder / FILE).write_text(SCENARIO)
    scenarios = ["gaussian-peaks:tasks=3,samples=40", f"{folder / FILE}:named"]
    said = ["--architectures", "kan:intervals=20", "mlp:hidden=5", "--strategies", "naive", "joint", "--optimizer", "adam"]
    sizes = ["--lr", "0.03", "--steps", "80", "--seeds", "6", "--evaluations", "5", "--locality", "on", "--quiet"]
    assert main(["run", *scenarios, *said, *sizes, "--out", str(folder / "out")]) == 0
    return folder / "out"
