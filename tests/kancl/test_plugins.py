"""Guards files of the user's own: they import what lies beside them, each its own, and what they consist of is known."""

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kancl import plugins
from kancl.errors import InputError
from kancl.plugins import closure, digests, forget_edited, load_file
from kancl.registry import Registry

PLUG_IN = """
import lib.deep.leaf
import lib.deep.leaf as leaf
from helper import WHERE
import helper as h

def what():
    from lazily import LAZY
    from lib.deep import leaf as again
    return WHERE, h.DEEPER, LAZY, lib.TOP, leaf.LEAF, again.LEAF

def computed(name):
    return __import__(name)
"""
BESIDE = {
    "helper.py": "from deeper import DEEPER\nWHERE = 'helper of FOLDER'",
    "deeper.py": "DEEPER = 'deeper of FOLDER'",
    "lazily.py": "import mine\nLAZY = 'lazily of FOLDER'\nassert mine.h.WHERE",
    "lib/__init__.py": "from .near import TOP",
    "lib/near.py": "TOP = 'near of FOLDER'",
    "lib/deep/leaf.py": "from ..near import TOP\nLEAF = 'leaf below ' + TOP",
    "unnamed.py": "",
}


@pytest.fixture(autouse=True)
def _forget_modules() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith(("_kancl_file_", "kancl_test_")):
            del sys.modules[name]


def written(folder: Path, **more: str) -> Path:
    """A plug-in with everything beside it, whose values hold the folder's name."""
    for name, source in {**BESIDE, "mine.py": PLUG_IN, **more}.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source.replace("FOLDER", folder.name))
    return folder / "mine.py"


def values(folder: str) -> tuple[str, ...]:
    near = f"near of {folder}"
    return (f"helper of {folder}", f"deeper of {folder}", f"lazily of {folder}", near, *[f"leaf below {near}"] * 2)


def test_each_file_imports_what_lies_beside_it_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        written(tmp_path / name)
    paths, modules, elsewhere = list(sys.path), set(sys.modules), tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    one, two = (load_file(Path(name) / "mine.py") for name in ("one", "two"))
    monkeypatch.chdir(elsewhere)
    assert (one.what(), two.what()) == (values("one"), values("two"))
    assert load_file(tmp_path / "one" / "mine.py") is one
    assert sys.path == paths
    assert all(name.startswith("_kancl_file_") for name in set(sys.modules) - modules)
    assert not list(tmp_path.rglob("__pycache__"))


def test_files_of_one_folder_share_what_lies_beside_them(tmp_path: Path) -> None:
    mine = written(tmp_path, **{"other.py": "import helper\nimport mine"})
    one, other = load_file(mine), load_file(tmp_path / "other.py")
    assert (one.h, one) == (other.helper, other.mine)
    assert set(digests(tmp_path / "other.py")) == {"other.py", *digests(mine)}


def test_what_a_file_consists_of_is_known_before_it_runs(tmp_path: Path) -> None:
    mine = written(tmp_path)
    files = {name for name in (*BESIDE, "mine.py") if name != "unnamed.py"}
    assert {file.relative_to(tmp_path).as_posix() for file in closure(mine)} == files
    load_file(mine)
    assert digests(mine) == {name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in files}


def test_what_no_import_statement_names_is_refused(tmp_path: Path) -> None:
    module = load_file(written(tmp_path))
    with pytest.raises(ImportError, match=r"unnamed\.py is imported by a name that no import statement shows; write"):
        module.computed("unnamed")
    assert module.computed("math").pi > 3


def test_a_folder_beside_replaces_neither_kancl_nor_what_has_no_file_of_its_own(tmp_path: Path) -> None:
    beside = {"scenarios/__init__.py": "", "kancl.py": "", "json/data.txt": ""}
    beside["random.py"] = "import random\nD = random.random()"
    beside["user.py"] = "import scenarios, kancl, json\nfrom random import D\nassert scenarios.Task and kancl.__version__"
    written(tmp_path, **beside)
    assert set(digests(tmp_path / "user.py")) == {"user.py", "random.py"}
    assert 0 <= load_file(tmp_path / "user.py").D < 1  # its own random, which means Python's
    assert not hasattr(sys.modules["random"], "D")


@pytest.mark.parametrize("settled", [plugins.SETTLED, -(10**9)], ids=["at once", "later"])
def test_an_edited_folder_is_imported_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settled: int) -> None:
    monkeypatch.setattr(plugins, "SETTLED", settled)
    mine = written(tmp_path)
    before = load_file(mine)
    forget_edited()
    assert load_file(mine) is before
    time.sleep(0.02)  # longer than the tick by which a file system tells times
    helper = tmp_path / "helper.py"
    stat = helper.stat()
    helper.write_text(helper.read_text().replace("helper of", "HELPER OF"))
    os.utime(helper, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # no time and no size tells it
    assert load_file(mine) is before
    forget_edited()
    assert load_file(mine).what()[0].startswith("HELPER OF")
    assert digests(mine)["helper.py"] == hashlib.sha256(helper.read_bytes()).hexdigest()


def test_an_edit_in_the_same_tick_of_the_clock_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tick, stamp = 2 * 10**9, plugins._stamp
    monkeypatch.setattr(plugins, "_stamp", lambda file: (*(t // tick * tick for t in stamp(file)[:2]), *stamp(file)[2:]))
    mine = written(tmp_path)
    for number in range(10, 40):  # always of the same size
        (tmp_path / "helper.py").write_text(f"from deeper import DEEPER\nWHERE = {number}")
        forget_edited()
        assert load_file(mine).what()[0] == number
        forget_edited()


def test_files_that_are_what_they_were_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "SETTLED", -(10**9))
    load_file(written(tmp_path))
    forget_edited()
    read: list[Path] = []
    monkeypatch.setattr(Path, "read_bytes", read.append)
    forget_edited()
    assert not [file for file in read if file.parent == tmp_path]


def test_a_file_that_changes_while_it_is_in_use_is_not_imported_late(tmp_path: Path) -> None:
    module = load_file(written(tmp_path))
    (tmp_path / "lazily.py").write_text("LAZY = 'edited'")
    with pytest.raises(ImportError, match=r"lazily\.py changed while it was in use; run the command again"):
        module.what()


def test_nothing_is_kept_of_a_file_that_fails(tmp_path: Path) -> None:
    mine = written(tmp_path, **{"helper.py": "WHERE = 1 / 0"})
    modules = set(sys.modules)
    with pytest.raises(ZeroDivisionError):
        load_file(mine)
    assert set(sys.modules) == modules
    written(tmp_path)
    assert load_file(mine).what() == values(tmp_path.name)


def test_a_registry_tells_what_a_builder_consists_of(tmp_path: Path) -> None:
    registry = Registry("gadget", {"built-in": "kancl.models.mlp"})
    mine = written(tmp_path)
    assert registry.contents(f"{mine}:what") == digests(mine)
    registry.register("by hand")(values)
    assert registry.contents("by hand") == {Path(__file__).name: hashlib.sha256(Path(__file__).read_bytes()).hexdigest()}
    with pytest.raises(InputError, match="unknown gadget"):
        registry.contents("nothing")


def test_a_builder_that_registers_itself_may_be_imported_anew(tmp_path: Path) -> None:
    registry = Registry("gadget", {})
    sys.modules["kancl_test_here"] = type(sys)("kancl_test_here")
    sys.modules["kancl_test_here"].registry = registry  # type: ignore[attr-defined]
    file = tmp_path / "mine.py"
    for value in (1, 2):
        file.write_text(f"from kancl_test_here import registry\n@registry.register('me')\ndef me(): return {value}\n")
        forget_edited()
        assert registry.get(f"{file}:me")() == value
        assert registry.get("me")() == value


@pytest.mark.parametrize("change", ["version", "code", "nothing"])
def test_a_package_counts_by_its_version_and_its_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    package, info = tmp_path / "kancl_test_package", tmp_path / "kancl_test-1.0.dist-info"
    for folder in (package / "inner", info):
        folder.mkdir(parents=True)
    (info / "entry_points.txt").write_text("[kancl.gadgets]\nplug = kancl_test_package.inner.code:plug\n")
    (package / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)

    def contents(version: str, code: str) -> dict[str, str]:
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: kancl-test\nVersion: {version}\n")
        (package / "inner" / "code.py").write_text(f"def plug(): return {code}\n")
        for name in [name for name in sys.modules if name.startswith("kancl_test_package")]:
            del sys.modules[name]
        return Registry("gadget", {}).contents("plug")

    before = contents("1.0", "1")
    after = contents("1.1" if change == "version" else "1.0", "2" if change == "code" else "1")
    assert before.keys() == after.keys() == {"package kancl-test"}
    assert before["package kancl-test"].startswith("1.0 ")
    assert (before == after) == (change == "nothing")


def test_kinds_of_files_that_cannot_be_read(tmp_path: Path, refused: Callable[[str], str]) -> None:
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "zero.py").write_bytes(b"x = 1\0")
    (tmp_path / "beyond.py").write_text("from ..outside import x\n")
    for name in ("broken", "zero", "beyond"):
        assert f"{name}.py cannot be imported" in refused(f"{tmp_path / name}.py:f")


@pytest.fixture
def refused() -> Callable[[str], str]:
    def message(name: str) -> str:
        with pytest.raises(InputError) as caught:
            Registry("gadget", {}).get(name)
        return str(caught.value)

    return message
