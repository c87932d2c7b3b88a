"""What all tests share."""

import atexit
import gc
import importlib.util
import os
import sys
from collections.abc import Generator
from pathlib import Path
from types import ModuleType

import pytest


def beside(name: str) -> ModuleType:
    """Return a module that lies beside this file; it is no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pytest_configure() -> None:
    """Compile what is imported once, whatever the environment says: tests start many processes of the same modules."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


RARELY = 50_000
"""Objects made, and not gone, from which the garbage collector looks for circles; Python's own number is 700."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect with the garbage collector asleep; it would look through thousands of tests again and again, then as well."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        atexit.register(gc.unfreeze)  # at the end all of it may go; not before pytest has looked through what tests made
        gc.set_threshold(RARELY)  # and seldom while they run: hardly anything here is garbage that only it could find
        gc.enable()


@pytest.fixture(autouse=True, scope="session")
def _no_terminal() -> None:
    """What is printed into pipes does not depend on the terminal that tests are started from."""
    os.environ.pop("COLUMNS", None)


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Tests run side by side in several processes; more threads than cores would only wait for each other."""
    import torch  # on use: the process that only hands out the tests has no use for it

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def toy_files() -> ModuleType:
    """The module that writes small data files."""
    return beside("toy_files")


@pytest.fixture(scope="session")
def data_root(toy_files: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small files of every data set that is read from files; it is called ``data``."""
    return toy_files.write_data_root(tmp_path_factory.mktemp("files") / "data")
