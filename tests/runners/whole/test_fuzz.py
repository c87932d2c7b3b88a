"""Guards what is read of anybody: thousands of odd files and texts are refused or named, and nothing is written outside.

The long version is ``benchmarks/reliability/fuzz.py``, which makes these as well.
"""

import random
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SOAK = Path(__file__).parents[3] / "benchmarks" / "reliability"


@pytest.fixture(scope="module")
def fuzz() -> Iterator[ModuleType]:
    """The module of the soak; it lies in no package."""
    sys.path.insert(0, str(SOAK))
    import fuzz

    yield fuzz
    sys.path.remove(str(SOAK))
    for name in ("fuzz", "fuzz_inputs"):
        del sys.modules[name]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where to work, in a folder of which nothing else may change; numbers of strangers may overflow."""
    work, outside = tmp_path / "work", tmp_path / "outside"
    for folder in (work, outside / "cells"):
        folder.mkdir(parents=True)
    (outside / "x").write_text("precious")
    monkeypatch.chdir(outside)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield work
    assert sorted(tmp_path.iterdir()) == [outside, work]
    assert sorted(outside.rglob("*")) == [outside / "cells", outside / "x"]
    assert (outside / "x").read_text() == "precious"


def assert_told(tally: Any, count: int) -> None:
    """All were tried, and nothing was raised but refusals; some of each, or the inputs are not what they should be."""
    assert tally.raised == [], tally.raised[0]
    assert tally.tried == count
    assert tally.refused + tally.named > count / 3


def test_experiment_files(fuzz: ModuleType, place: Path) -> None:
    tally = fuzz.fuzz_files(1200, random.Random(1), place)
    assert_told(tally, 1200)
    assert tally.accepted > 100


def test_texts_of_options(fuzz: ModuleType, place: Path) -> None:
    tally = fuzz.fuzz_options(1500, random.Random(2))
    assert_told(tally, 1500)
    assert tally.accepted > 50


def test_stored_files(fuzz: ModuleType, place: Path) -> None:
    tallies = fuzz.fuzz_stored(200, random.Random(3), fuzz.experiment(place), place)
    assert sum(tally.tried for tally in tallies.values()) == 200
    for tally in tallies.values():
        assert_told(tally, tally.tried)
    assert tallies["stored files, damaged"].accepted == 0
    assert tallies["stored files, changed and sealed again"].accepted > 10


def test_the_tally_sees_what_is_raised(fuzz: ModuleType) -> None:
    tally = fuzz.Tally()
    tally.note(lambda: 1 / 0, "about")  # type: ignore[arg-type, return-value]
    assert len(tally.raised) == 1
    assert "ZeroDivisionError" in tally.raised[0]
