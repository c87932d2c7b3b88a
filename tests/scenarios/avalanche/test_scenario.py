"""Guards avalanche's benchmarks by name: from files in torchvision's layout, without a network, the seed in command."""

import hashlib
import importlib
import pickle
import random
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kancl.errors import InputError
from kancl.options import parse_spec
from runners.stream.stack import stack
from scenarios import Scenario, build_scenario
from scenarios.avalanche.files import FILES, find_files, offline

MEAN, DEVIATION = 0.1307, 0.3081
"""By which avalanche's MNIST benchmarks are whitened."""


@pytest.fixture
def build(data_root: Path) -> Callable[..., Scenario]:
    return lambda text="avalanche", seed=0: build_scenario(parse_spec(text), seed, data_root)


def idx(path: Path, dimensions: int) -> np.ndarray:
    contents = path.read_bytes()
    shape = np.frombuffer(contents, ">i4", dimensions, offset=4)
    return np.frombuffer(contents, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def mnist(root: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """The images, white, one a row, and the labels."""
    folder = root / "MNIST" / "raw"
    images, labels = idx(folder / f"{part}-images-idx3-ubyte", 3), idx(folder / f"{part}-labels-idx1-ubyte", 1)
    return ((images / 255 - MEAN) / DEVIATION).reshape(len(labels), -1).astype(np.float32), labels


def rows(x: Any, y: Any) -> list[tuple[float, ...]]:
    return sorted((*map(float, np.round(np.asarray(image), 4)), float(label)) for image, label in zip(x, y, strict=True))


def classes(scenario: Scenario) -> list[list[int]]:
    return [task.train[1].unique().tolist() for task in scenario.tasks]


@pytest.mark.parametrize("part", ["train", "t10k"])
def test_split_mnist_has_every_image_of_the_files_once(build: Callable[..., Scenario], data_root: Path, part: str) -> None:
    scenario = build("avalanche:benchmark=SplitMNIST,experiences=5")
    assert (len(scenario.tasks), scenario.setting, scenario.outputs, scenario.image_shape) == (5, "class", 10, (28, 28))
    pairs = [task.train if part == "train" else task.test for task in scenario.tasks]
    ours = [row for x, y in pairs for row in rows(x, y)]
    np.testing.assert_allclose(sorted(ours), rows(*mnist(data_root, part)), atol=2e-4)


def test_the_seed_orders_the_classes_as_it_does_in_avalanche(build: Callable[..., Scenario], data_root: Path) -> None:
    orders = []
    for seed in (0, 1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            order = torch.randperm(10)
        orders.append(classes(build(seed=seed)))
        assert orders[-1] == order.view(5, 2).sort(1).values.tolist()
    assert orders[0] != orders[1]


def test_the_files_are_named_with_their_digests(build: Callable[..., Scenario], data_root: Path) -> None:
    files = build().files
    assert set(files) == set(FILES["SplitMNIST"])
    for name, digest in files.items():
        assert digest == hashlib.sha256((data_root / name).read_bytes()).hexdigest()


def test_task_labels_and_settings(build: Callable[..., Scenario]) -> None:
    order = 'extra=["fixed_class_order=[9,8,7,6,5,4,3,2,1,0]"]'
    task = build(f"avalanche:experiences=2,task_labels=true,{order}")
    assert (task.setting, [t.active for t in task.tasks]) == ("task", [(0, 1, 2, 3, 4), (5, 6, 7, 8, 9)])
    assert classes(task) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    domain = build(f"avalanche:experiences=2,setting=domain,{order}")
    assert (domain.setting, domain.outputs, classes(domain)) == ("domain", 5, [[0, 1, 2, 3, 4]] * 2)
    few = build("avalanche:samples=3,test_samples=1")
    assert [(len(t.train[0]), len(t.test[0])) for t in few.tasks] == [(6, 2)] * 5


@pytest.mark.parametrize("options", ["", ":task_labels=true", ":setting=domain", ":benchmark=PermutedMNIST,task_labels=true"])
def test_seeds_with_other_class_orders_can_be_stacked(data_root: Path, monkeypatch: pytest.MonkeyPatch, options: str) -> None:
    monkeypatch.chdir(data_root.parent)
    stream = stack(parse_spec(f"avalanche{options}"), (0, 1))
    assert stream.train[0].x.shape[:2] == (2, 60 if "Permuted" in options else 12)


def test_permuted_mnist_is_the_first_task_in_another_order_of_pixels(build: Callable[..., Scenario], data_root: Path) -> None:
    scenario = build("avalanche:benchmark=PermutedMNIST,experiences=2", 3)
    assert (scenario.setting, scenario.outputs) == ("domain", 10)
    x, y = mnist(data_root, "train")
    draw = np.random.RandomState(3)
    for task in scenario.tasks:
        order = draw.permutation(784)
        np.testing.assert_allclose(rows(*task.train), rows(x[:, order], y), atol=2e-4)
    assert build("avalanche:benchmark=PermutedMNIST,experiences=2,task_labels=true", 3).outputs == 20


def test_rotated_mnist_turns_training_and_test_alike(build: Callable[..., Scenario], data_root: Path) -> None:
    spec = 'avalanche:benchmark=RotatedMNIST,experiences=2,extra=["rotations_list=[0,90]"]'
    turned = build(spec).tasks[1]
    for part, (x, y) in (("train", turned.train), ("t10k", turned.test)):
        images, labels = mnist(data_root, part)
        expected = np.rot90(images.reshape(-1, 28, 28), axes=(1, 2)).reshape(len(labels), -1)
        np.testing.assert_allclose(rows(x, y), rows(expected, labels), atol=2e-4)


def test_fashion_mnist_is_read_as_pictures(data_root: Path, tmp_path: Path) -> None:
    """The same files under another name; avalanche whitens them with other numbers."""
    for ours, theirs in zip(FILES["SplitFMNIST"], FILES["SplitMNIST"], strict=True):
        (tmp_path / ours).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / ours).write_bytes((data_root / theirs).read_bytes())
    scenario = build_scenario(parse_spec("avalanche:benchmark=SplitFMNIST,experiences=1"), 0, tmp_path)
    white, labels = mnist(data_root, "train")
    expected = ((white * DEVIATION + MEAN) - 0.2860) / 0.3530
    np.testing.assert_allclose(rows(*scenario.tasks[0].train), rows(expected, labels), atol=2e-4)
    assert scenario.image_shape == (28, 28)


def test_cifar10_is_read_plane_by_plane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Toy batches in the published form, whose checksums stand in for the published ones."""
    cifar = importlib.import_module("torchvision.datasets").CIFAR10
    planes = np.random.default_rng(0).integers(0, 256, (6, 20, 3 * 32 * 32), dtype=np.uint8)
    labels = [list(range(10)) * 2] * 6
    (tmp_path / cifar.base_folder).mkdir()

    def write(name: str, content: Any) -> list[str]:
        pickled = pickle.dumps(content)
        (tmp_path / cifar.base_folder / name).write_bytes(pickled)
        return [name, hashlib.md5(pickled).hexdigest()]

    listed = [
        write(name, {"data": data, "labels": y})
        for (name, _), data, y in zip((*cifar.train_list, *cifar.test_list), planes, labels, strict=True)
    ]
    meta = write("batches.meta", {"label_names": [str(k) for k in range(10)]})
    monkeypatch.setattr(cifar, "train_list", listed[:5])
    monkeypatch.setattr(cifar, "test_list", listed[5:])
    monkeypatch.setattr(cifar, "meta", {**cifar.meta, "md5": meta[1]})
    scenario = build_scenario(parse_spec("avalanche:benchmark=SplitCIFAR10,experiences=1"), 0, tmp_path)
    assert scenario.image_shape == (32, 32, 3)
    pictures = planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1) / 255
    white = (pictures - (0.4914, 0.4822, 0.4465)) / (0.2023, 0.1994, 0.2010)
    for (x, y), expected in ((scenario.tasks[0].train, white[:100]), (scenario.tasks[0].test, white[100:])):
        count = len(expected)
        np.testing.assert_allclose(
            rows(x, y), rows(expected.reshape(count, -1), list(range(10)) * (count // 10)), atol=2e-4
        )  # fmt: skip
    assert len(scenario.files) == 7


def test_building_draws_nothing_from_the_global_generators(build: Callable[..., Scenario]) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    build("avalanche:benchmark=RotatedMNIST,experiences=2,samples=2")
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])
    assert before[2] == random.getstate()


# A benchmark of one's own.

OWN = """
import random
import numpy as np
import torch
from avalanche.benchmarks import tensors_benchmark

def luck(n_experiences, scale=1.0):
    print("this does not belong to the output")
    def part():
        return scale * (torch.rand(4, 3) + np.random.rand() + random.random()), torch.tensor([0, 1, 0, 1])
    streams = [[part() for _ in range(n_experiences)] for _ in range(2)]
    return tensors_benchmark(*streams, task_labels=[0] * n_experiences)

def broken(n_experiences):
    raise KeyError("no such thing")

def greedy(n_experiences):
    from urllib.request import urlopen
    urlopen("http://data.example/set.zip")
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / "own_benchmarks.py"
    path.write_text(OWN)
    yield path
    sys.modules.pop("own_benchmarks", None)


def test_a_function_of_a_module_whose_chance_follows_the_seed(
    build: Callable[..., Scenario], own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = 'avalanche:benchmark=own_benchmarks:luck,experiences=3,extra=["scale=2.5"]'
    one, again, other = (build(spec, seed) for seed in (0, 0, 1))
    assert (len(one.tasks), one.setting) == (3, "domain")
    x: list[Tensor] = [scenario.tasks[1].train[0] for scenario in (one, again, other)]
    assert torch.equal(x[0], x[1])
    assert not torch.equal(x[0], x[2])
    assert x[0].max() > 1
    assert one.files == {"own_benchmarks.py": hashlib.sha256(own.read_bytes()).hexdigest()}
    assert capsys.readouterr().out == ""


WRONG = {
    "avalanche:benchmark=SplitMNST": "no benchmark 'SplitMNST'; did you mean SplitMNIST",
    "avalanche:benchmark=os": "no benchmark 'os'",
    "avalanche:benchmark=no.such.module:make": "no.such.module cannot be imported: ModuleNotFoundError",
    "avalanche:benchmark=own_benchmarks:lukc": "has no benchmark 'lukc'; did you mean luck",
    "avalanche:benchmark=own_benchmarks:broken": "broken failed with KeyError: 'no such thing'.*own_benchmarks.py",
    "avalanche:benchmark=own_benchmarks:greedy": "wanted to download from data.example",
    "avalanche:benchmark=own_benchmarks:luck,task_labels=true": "no choice of task labels",
    "avalanche:benchmark=CORe50": "has a number of experiences of its own; say experiences=none",
    "avalanche:benchmark=CORe50,experiences=none": "CORe50 wanted to download from .*nothing is downloaded here",
    "avalanche:experiences=none": "SplitMNIST needs n_experiences: give experiences=",
    "avalanche:experiences=3": "SplitMNIST failed with ValueError.*cannot be divided",
    'avalanche:extra=["shufle=true"]': "no argument 'shufle'; did you mean shuffle",
    'avalanche:extra=["seed=3"]': "seed is given by the seed",
    'avalanche:extra=["dataset_root=3"]': "dataset_root is given by the folder of data files",
    'avalanche:extra=["shuffle"]': "expected name=value, got 'shuffle'",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_refused(build: Callable[..., Scenario], own: Path, text: str) -> None:
    with pytest.raises(InputError, match=f"(?s){WRONG[text]}"):
        build(text)


@pytest.mark.parametrize("benchmark", FILES)
def test_missing_files_are_named_and_nothing_is_written(tmp_path: Path, benchmark: str) -> None:
    with pytest.raises(InputError, match="nothing is downloaded here") as caught:
        build_scenario(parse_spec(f"avalanche:benchmark={benchmark}"), 0, tmp_path)
    for name in FILES[benchmark]:
        assert name in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_only_what_is_missing_is_named(data_root: Path, tmp_path: Path) -> None:
    for name in FILES["SplitMNIST"][:3]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((data_root / name).read_bytes())
    with pytest.raises(InputError, match="1 are not there:\n  - MNIST/raw/t10k-labels-idx1-ubyte\n"):
        find_files("SplitMNIST", tmp_path)
    assert find_files("CLEAR", tmp_path) == {}


def test_truncated_files_are_refused(data_root: Path, tmp_path: Path) -> None:
    for name in FILES["SplitMNIST"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((data_root / name).read_bytes()[:-5])
    with pytest.raises(InputError, match="SplitMNIST failed with"):
        build_scenario(parse_spec("avalanche"), 0, tmp_path)


def test_the_listed_files_are_those_that_torchvision_looks_for() -> None:
    sets = importlib.import_module("torchvision.datasets")
    for name, images in (("SplitMNIST", sets.MNIST), ("SplitFMNIST", sets.FashionMNIST)):
        assert set(FILES[name]) == {f"{images.__name__}/raw/{Path(url).stem}" for url, _ in images.resources}
    for name, cifar in (("SplitCIFAR10", sets.CIFAR10), ("SplitCIFAR100", sets.CIFAR100)):
        files = [file for file, _ in (*cifar.train_list, *cifar.test_list)] + [cifar.meta["filename"]]
        assert set(FILES[name]) == {f"{cifar.base_folder}/{file}" for file in files}


def test_only_the_thread_that_asked_is_offline() -> None:
    resolve, answers = socket.getaddrinfo, []
    with offline() as asked:
        other = threading.Thread(target=lambda: answers.append(socket.getaddrinfo("127.0.0.1", 80)))
        other.start()
        other.join()
        with pytest.raises(OSError, match=r"no connection to 127\.0\.0\.1"):
            socket.create_connection(("127.0.0.1", 9))
    assert (asked, len(answers)) == (["127.0.0.1"], 1)
    with pytest.raises(KeyError), offline():
        raise KeyError
    assert socket.getaddrinfo is resolve
