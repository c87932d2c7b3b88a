"""What all tests share."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Tests run side by side in several processes; more threads than cores would only wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def toy_files() -> ModuleType:
    """The module that writes small data files; tests are not a package, so it is loaded by its place."""
    spec = importlib.util.spec_from_file_location("toy_files", Path(__file__).parent / "toy_files.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def data_root(toy_files: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small files of every data set that is read from files; it is called ``data``."""
    return toy_files.write_data_root(tmp_path_factory.mktemp("files") / "data")
