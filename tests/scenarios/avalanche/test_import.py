"""Guards the import of avalanche beside a torchvision whose operators do not load, and the steps of its Naive."""

import subprocess
import sys

import pytest
import torch

from scenarios.avalanche.loading import missing_operators_skipped

SCRIPT = """
import copy
import sys

import torch

from scenarios.avalanche.loading import import_avalanche

assert "avalanche" not in sys.modules
register = torch.library.register_fake
assert import_avalanche().__version__ and import_avalanche() is sys.modules["avalanche"]
assert torch.library.register_fake is register

from runners.bench.loops import data, plain_loop
from runners.bench.peers import build_peer, naive_run
from runners.bench.plan import Shape

torch.set_num_threads(1)
shape = Shape((2, 3, 1), 5, 20)
ours = build_peer("mlp", shape)
theirs = copy.deepcopy(ours)
x, y = data(shape, 1)
naive_run(theirs, [(x[0], y[0])], rate=1e-3, steps=7)
plain_loop(ours, x[0], y[0])(7)
for one, other in zip(ours.parameters(), theirs.parameters()):
    torch.testing.assert_close(one, other)

from runners.bench.plan import QUICK
from runners.bench.whole import whole_comparisons

for comparison in whole_comparisons(QUICK, ("avalanche",), threads=1):
    assert comparison.reference == "avalanche Naive" and not comparison.refused
    own, naive = comparison.timings
    assert (own.networks, own.steps, naive.networks, naive.steps) == (2, 5, 1, 3)
    assert naive.note.startswith("measured with 1 of 2 seeds, one a round, and 3 of 5 steps per task")
"""


def test_avalanche_can_be_imported_and_trains_like_the_plain_loop() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_only_missing_operators_of_torchvision_are_skipped() -> None:
    register = torch.library.register_fake

    def fake(x: torch.Tensor) -> torch.Tensor:
        return x

    with missing_operators_skipped():
        assert torch.library.register_fake("torchvision::there_is_no_such_operator", fake) is fake
        assert torch.library.register_fake("torchvision::there_is_no_such_operator")(fake) is fake
        with pytest.raises(RuntimeError, match="kancl_test::there_is_no_such_operator"):
            torch.library.register_fake("kancl_test::there_is_no_such_operator", fake)
    assert torch.library.register_fake is register


def test_register_fake_comes_back_after_an_error() -> None:
    register = torch.library.register_fake
    with pytest.raises(KeyError), missing_operators_skipped():
        raise KeyError("torchvision broke in another way")
    assert torch.library.register_fake is register
