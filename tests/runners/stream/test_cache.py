"""Guards memory and data files: what seeds share is kept once, data are built once, a folder of files is a place, not data."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kancl.options import Spec, parse_spec
from kancl.seeding import generator
from runners.cli.run import data_files
from runners.config.cell import Cell, cell_from_json
from runners.config.request import Request
from runners.experiment.expand import expand
from runners.experiment.prepare import prepare
from runners.measure.evaluate import Evaluator
from runners.run import run_cell
from runners.stream import batches as batches_module
from runners.stream.batches import batches, epoch_orders
from runners.stream.cache import StreamCache
from runners.stream.samples import SeedStacker, once, union
from runners.stream.stack import stack
from runners.training.networks import build_network
from scenarios import Scenario, Task, build_scenario, scenarios
from scenarios.build import complete_scenario

STORED = {
    # Keys of cells as they were before there were streams and folders of data files.
    "gaussian-peaks--kan--naive--3a5fe03661": Request(("gaussian-peaks",), ("kan",), seeds=2),
    "gaussian-peaks--mlp--naive--648dee4411": Request(("gaussian-peaks:tasks=3",), ("mlp",), seeds=2),
    "split-digits--kan--naive--cf938bded7": Request(("split-digits:setting=task",), ("kan",), seeds=2),
    "permuted-digits--mlp--joint--11fe176302": Request(
        ("permuted-digits",), ("mlp",), ("joint",), seeds="3,5", optimizer="sgd", batch_size=8, locality="on", clip=1.0
    ),
}


@pytest.mark.parametrize("key", STORED)
def test_stored_results_keep_their_names(key: str) -> None:
    (cell,) = expand([STORED[key]])
    assert cell.old_key == key


@pytest.mark.parametrize("option", ["skip=1", "pretrain=1", "cycles=2", "blur=0.5"])
def test_a_stream_is_another_experiment(option: str) -> None:
    request = Request(("gaussian-peaks",), ("kan",), seeds=2, optimizer="adam")
    (plain,), (cell,) = (
        expand([replace(request, scenarios=(text,))]) for text in ("gaussian-peaks", f"gaussian-peaks:{option}")
    )
    assert cell.key != plain.key
    assert cell_from_json(cell.to_json()).key == cell.key


# What is shared.


def pair(seed: int, shared: bool, count: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.rand(count, 3, generator=generator(0 if shared else seed, "x"))
    return x, x[:, :1]


def scenario(seed: int, shared: bool) -> Scenario:
    def task(name: str) -> Task:
        x, y = pair(seed, shared, 9)
        move = float(ord(name))
        return Task(name, (x[:6] + move, y[:6]), (x[6:] + move, y[6:]))

    return Scenario((task("A"), task("B")), "mse", domain=((0.0, 100.0),) * 3, pretrain=(task("P"),))


@pytest.fixture
def spec(request: pytest.FixtureRequest) -> Iterator[Callable[[Any], Spec]]:
    added: list[str] = []

    def register(build: Any) -> Spec:
        added.append(f"built-{len(added)}-for-this-test")
        scenarios.register(added[-1])(build)
        return Spec(added[-1])

    yield register
    for name in added:
        del scenarios._entries[name]


@pytest.mark.parametrize("shared", [True, False])
def test_seeds_share_what_is_equal(spec: Callable[[Any], Spec], shared: bool) -> None:
    stream = stack(spec(lambda seed: scenario(seed, shared)), (0, 1, 2))
    assert stream.pretrain is not None
    everything = union([*stream.train, *stream.test])
    for samples in (*stream.train, *stream.test, stream.pretrain, everything):
        assert samples.x.shape[0] == samples.y.shape[0] == 3
        for tensor in (samples.x, samples.y):
            assert (tensor.stride(0) == 0) == shared
            assert len(once(tensor)) == (1 if shared else 3)
    for s in range(3):
        own = scenario(s, shared)
        parts = [t for part in ("train", "test") for t in (getattr(task, part)[0] for task in own.tasks)]
        torch.testing.assert_close(everything.x[s], torch.cat(parts), rtol=0, atol=0)
    moved = stream.to("meta")
    assert (moved.train[0].x.stride(0) == 0) == shared
    assert moved.pretrain is not None
    assert moved.pretrain.x.device.type == "meta"


def test_seeds_that_differ_late_are_stacked_whole() -> None:
    stacker = SeedStacker(4, torch.float32)
    rows = [torch.tensor([value]) for value in (1.0, 1.0, 5.0, 1.0)]
    for row in rows:
        stacker.add([row, torch.tensor([3])])
    different, same = stacker.stacked()
    assert different.tolist() == [[1.0], [1.0], [5.0], [1.0]]
    assert same.tolist() == [[3]] * 4
    assert same.stride(0) == 0


def test_visits_of_one_task_share_their_data_though_seeds_differ(spec: Callable[[Any], Spec]) -> None:
    name = spec(lambda seed: scenario(seed, False)).name
    plain, cycled = stack(Spec(name), (0, 1)), stack(Spec(name, {"cycles": 3}), (0, 1))
    for number, samples in enumerate(cycled.train):
        assert torch.equal(samples.x, plain.train[number % 2].x)
        assert samples.x.data_ptr() == cycled.train[number % 2].x.data_ptr()
        assert samples.task.unique().tolist() == [number]


def test_what_is_one_tensor_for_some_seeds_only_is_told_apart() -> None:
    stacker = SeedStacker(3, torch.float32)
    rows = [torch.tensor([float(value)]) for value in range(4)]
    stacker.add([rows[0], rows[0]])
    stacker.add([rows[1], rows[2]])
    stacker.add([rows[3], rows[3]])
    one, other = stacker.stacked()
    assert one.tolist() == [[0.0], [1.0], [3.0]]
    assert other.tolist() == [[0.0], [2.0], [3.0]]


def test_types_are_the_streams(spec: Callable[[Any], Spec]) -> None:
    stream = stack(spec(lambda seed: scenario(seed, False)), (0, 1), torch.float64)
    assert {t.dtype for s in (*stream.train, *stream.test) for t in (s.x, s.y)} == {torch.float64}


# Pieces.


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("size", [4, 7])
def test_a_piece_of_an_epoch_gives_the_batches_of_the_whole(
    spec: Callable[[Any], Spec], monkeypatch: pytest.MonkeyPatch, shared: bool, size: int
) -> None:
    def build(seed: int) -> Scenario:
        x, y = pair(seed, shared, 60)
        return Scenario((Task("A", (x[:50], y[:50]), (x[50:], y[50:])),), "mse")

    stream = stack(spec(build), (0, 5))
    monkeypatch.setattr(batches_module, "PIECE", 2 * 3 * size * 2)  # two batches at a time
    found = list(islice(batches(stream, stream.train[0], size, 1), 40))
    expected = []
    for order in islice(epoch_orders((0, 5), 50, 1), 6):
        whole = torch.stack([stream.train[0].x[s][order[s]] for s in range(2)])
        expected += list(whole.split(size, 1))
    for batch, x in zip(found, expected, strict=False):
        assert torch.equal(batch.x, x)
    assert {batch.x.shape[1] for batch in found} == {size, 50 % size}


@pytest.mark.parametrize("shared", [True, False])
def test_scores_do_not_depend_on_how_much_is_evaluated_at_once(
    spec: Callable[[Any], Spec], monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    name = spec(lambda seed: scenario(seed, shared)).name
    (cell,) = expand([Request((name,), ("mlp",), seeds=2, dtype="float64")])
    stream = StreamCache().of(cell)
    network, scores = build_network(cell, stream), []
    for chunk in (1 << 22, 2 * 3 * 2, 1):
        monkeypatch.setattr("kancl.parts.AT_ONCE", chunk)
        evaluator = Evaluator(stream)
        assert all(part.shape[1] <= max(1, chunk // 6) for part in evaluator.parts)
        scores.append(evaluator.scores(network)["rmse"])
    np.testing.assert_allclose(scores[1], scores[0], rtol=1e-12)
    np.testing.assert_allclose(scores[2], scores[0], rtol=1e-12)


def test_shared_data_of_many_seeds_are_not_copied(spec: Callable[[Any], Spec]) -> None:
    """Numbers of torch are counted by their storage: all tensors of a stream of 50 seeds hold one seed's data."""
    stream = stack(spec(lambda seed: scenario(0, True)), tuple(range(50)))
    evaluator = Evaluator(stream)
    tensors = [t for s in (*stream.train, *stream.test) for t in (s.x, s.y)] + evaluator.parts
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    # Train and test of both tasks with their targets are cut out of tensors of 9 rows; test inputs are put together once more.
    assert sum(storages.values()) <= 4 * (2 * (9 * 3 + 9 * 3 + 9 * 3) + 6 * 3)


# Once per command.


class Counted:
    """A builder that counts its calls."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, seed: int) -> Scenario:
        self.calls.append(seed)
        return scenario(seed, False)


def test_every_part_of_what_was_asked_for_tells_streams_apart() -> None:
    streams = StreamCache()
    spec = complete_scenario(parse_spec("gaussian-peaks:tasks=2,noise=0.1"))
    asked: list[tuple[Spec, tuple[int, ...], str, str]] = [
        (spec, (0, 1), "float32", "data"),
        (spec, (0, 2), "float32", "data"),
        (spec, (1, 0), "float32", "data"),
        (spec, (0, 1), "float64", "data"),
        (spec, (0, 1), "float32", "elsewhere"),
        (complete_scenario(parse_spec("gaussian-peaks:tasks=2,noise=0.2")), (0, 1), "float32", "data"),
    ]
    made = [streams.get(*one) for one in asked]
    assert [stream.seeds for stream in made] == [seeds for _, seeds, _, _ in asked]
    assert len(set(map(id, made))) == len(asked)
    assert all(streams.get(*one) is stream for one, stream in zip(asked, made, strict=True))
    assert [str(stream.train[0].x.dtype) for stream in made].count("torch.float64") == 1


def test_one_command_builds_once(spec: Callable[[Any], Spec], kancl: Callable[..., Any], tmp_path: Path) -> None:
    counted = Counted()
    name = spec(counted_builder(counted)).name
    said = kancl("run", name, "--seeds", 3, "--steps", 2, "--optimizer", "adam", "--out", tmp_path / "a")
    assert said.code == 0, said.err
    assert sorted(counted.calls) == [0, 0, 1, 2]


def test_what_takes_too_much_memory_is_forgotten_oldest_first(spec: Callable[[Any], Spec]) -> None:
    builders = [Counted() for _ in range(3)]
    specs = [spec(counted_builder(counted)) for counted in builders]
    one = stack(specs[0], (0, 1))
    size = sum(once(t).nbytes for s in (*one.train, *one.test, one.pretrain) for t in (s.x, s.y) if s is not None)
    for counted in builders:
        counted.calls.clear()
    streams = StreamCache(limit=2 * size)
    for place in (0, 1, 0, 1, 2, 2, 1, 0):
        streams.get(specs[place], (0, 1), "float32", "data")
    assert [len(counted.calls) // 3 for counted in builders] == [2, 1, 1]
    assert len(streams.kept) == 2


def counted_builder(counted: Counted) -> Callable[[int], Scenario]:
    def build(seed: int) -> Scenario:
        return counted(seed)

    return build


# Data files.


def reads(seed: int, data_root: Path) -> Scenario:
    import hashlib

    content = (data_root / "numbers.txt").read_bytes()
    x = torch.tensor([float(line) for line in content.split()])[:, None] + seed / 100
    task = Task("A", (x[::2], x[::2]), (x[1::2], x[1::2]))
    return Scenario((task,), "mse", domain=((0.0, 100.0),), files={"numbers.txt": hashlib.sha256(content).hexdigest()})


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    found = {}
    for name, numbers in {"one": range(8), "same": range(8), "other": range(20, 28)}.items():
        found[name] = tmp_path / name
        found[name].mkdir()
        (found[name] / "numbers.txt").write_text("\n".join(map(str, numbers)))
    return found


def test_a_folder_is_a_place_and_its_contents_are_the_experiment(spec: Callable[[Any], Spec], places: dict[str, Path]) -> None:
    name = spec(reads).name
    cells: dict[str, Cell] = {}
    for place, folder in places.items():
        (cells[place],) = expand([Request((name,), ("mlp",), seeds=2, data_root=folder)])
    assert cells["one"].key == cells["same"].key != cells["other"].key
    assert cells["one"].data_root == str(places["one"])
    assert cells["one"].sources == cells["same"].sources
    assert list(cells["one"].sources) == ["numbers.txt"]
    assert cell_from_json(cells["one"].to_json()) == cells["one"]
    assert not torch.equal(*(StreamCache().of(cells[place]).train[0].x for place in ("one", "other")))


def test_each_of_two_files_of_one_name_is_told(spec: Callable[[Any], Spec], places: dict[str, Path]) -> None:
    name = spec(reads).name
    cells = expand([Request((name,), ("mlp",), seeds=2, data_root=folder) for folder in places.values()])
    digests = [reads(0, places[place]).files["numbers.txt"] for place in ("one", "other")]
    assert data_files(cells) == [f"data numbers.txt: SHA-256 {digest}" for digest in digests]


def test_the_folder_reaches_everything_that_builds(
    spec: Callable[[Any], Spec], kancl: Callable[..., Any], places: dict[str, Path], tmp_path: Path
) -> None:
    name, out = spec(reads).name, tmp_path / "out"
    command = (
        "run",
        name,
        "--seeds",
        2,
        "--steps",
        3,
        "--optimizer",
        "adam",
        "--tune",
        2,
        "--match",
        "parameters",
        "--to",
        "kan",
    )
    said = kancl(*command, "--out", out, "--data-root", places["one"])
    assert said.code == 0, said.err
    digest = next(iter(reads(0, places["one"]).files.values()))
    assert said.out.count(f"data numbers.txt: SHA-256 {digest}") == 1
    again = kancl(*command, "--out", out, "--data-root", places["same"])
    assert again.code == 0, again.err
    assert "stored" in again.out
    others = kancl(*command, "--out", out, "--data-root", places["other"])
    assert others.code == 0, others.err
    assert f"the data of `{name}` changed since" in others.out
    assert "stored" not in others.out
    assert others.out.count("as a trial") == said.out.count("as a trial")  # no choice of other data is taken
    missing = kancl("run", name, "--out", tmp_path / "none", "--data-root", tmp_path)
    assert missing.code == 2
    assert "numbers.txt" in missing.err
    assert not (tmp_path / "none").exists()


def test_an_experiment_file_names_the_folder(
    spec: Callable[[Any], Spec], kancl: Callable[..., Any], places: dict[str, Path], tmp_path: Path
) -> None:
    file = tmp_path / "mine.toml"
    said = {"scenarios": [spec(reads).name], "seeds": 2, "steps": 2, "optimizer": "adam", "data-root": str(places["one"])}
    file.write_text("\n".join(f"{key} = {json.dumps(value)}" for key, value in said.items()))
    assert kancl("run", "--file", file, "--out", tmp_path / "out").code == 0


def test_results_have_one_folder_wherever_the_data_are(spec: Callable[[Any], Spec], places: dict[str, Path]) -> None:
    name, said = spec(reads).name, {"seeds": 2, "match": "parameters", "to": "mlp"}
    requests = [Request((name,), ("mlp",), data_root=places[place], **said) for place in ("one", "same")]
    folders = {prepare([request], None, _silent(), lambda said: None)[1] for request in requests}
    assert len(folders) == 1


def _silent() -> Any:
    class Silent:
        def begin_cell(self, *_: Any) -> None: ...

        def progress(self, *_: Any) -> None: ...

        def end_cell(self, *_: Any) -> None: ...

    return Silent()


# Every registered scenario.


@pytest.mark.parametrize("name", scenarios.names())
def test_every_scenario_trains_as_a_stream(name: str, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data_root.parent)  # where the folder of data files is found by its usual name
    tasks = len(build_scenario(Spec(name), 0).tasks)
    if tasks < 3:
        pytest.skip(f"{name} has {tasks} tasks")
    request = Request(
        (f"{name}:skip={tasks - 3},pretrain=1,cycles=2,blur=1",), ("mlp",), seeds=2, optimizer="adam", steps=2, batch_size=16,
        evaluations=2, locality="on",
    )  # fmt: skip
    streams = StreamCache()
    (cell,) = expand([request], streams=streams)
    result = run_cell(cell, streams.of(cell))
    assert result.steps == 2 + 4 * 2
    for R in result.R.values():
        assert R.shape == (2, 5, 4)
        assert np.isfinite(R).all()
        np.testing.assert_array_equal(R[..., :2], R[..., 2:])  # later visits have the same test samples
