"""Guards the readers of data files: what is right is read to the byte, all else is refused by name, and nothing is written."""

import gzip
import hashlib
import io
import os
import pickle
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kancl.errors import InputError
from kancl.options import Spec
from scenarios import build_scenario
from scenarios.data.cifar import RECORD, parse_batch, read_cifar
from scenarios.data.idx import MOST_ITEMS, parse_idx, read_idx
from scenarios.data.sources import FIRST_LABELS, load_data

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)


def idx(shape: tuple[int, ...], body: bytes, magic: bytes = b"\0\0\x08\x03") -> bytes:
    return magic + struct.pack(f">{len(shape)}I", *shape) + body


SMALL = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
GOOD = idx((2, 3, 4), SMALL.tobytes())


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_idx_is_read_packed_or_not(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "file"
    path.write_bytes(pack(GOOD))
    found = read_idx(path, (3, 4))
    np.testing.assert_array_equal(found.array, SMALL)
    assert found.sha256 == hashlib.sha256(GOOD).hexdigest()


def test_numbers_above_127_are_not_negative(tmp_path: Path) -> None:
    (tmp_path / "labels").write_bytes(idx((3,), bytes((0, 128, 255)), b"\0\0\x08\x01"))
    assert read_idx(tmp_path / "labels", ()).array.tolist() == [0, 128, 255]


PACKED = gzip.compress(GOOD)
BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "cut in the magic": (GOOD[:3], "begins with 00 00 08; expected 00 00 08 03"),
    "cut in the header": (GOOD[:14], "14 bytes, expected at least 16"),
    "no data": (GOOD[:16], "24 bytes after its header, for 2 items, and has only 0"),
    "truncated": (GOOD[:-1], "and has only 23"),
    "trailing bytes": (GOOD + b"\0", "and has more"),
    "wrong magic": (b"\x89PNG" + GOOD[4:], "begins with 89 50 4e 47"),
    "other type of numbers": (b"\0\0\x0d\x03" + GOOD[4:], "00 00 0d 03"),
    "other number of dimensions": (b"\0\0\x08\x01" + GOOD[4:], "00 00 08 01"),
    "other shape": (idx((2, 4, 3), SMALL.tobytes()), r"shape \(4, 3\), expected \(3, 4\)"),
    "no items": (idx((0, 3, 4), b""), "0 items"),
    "absurd count": (idx((2**32 - 1, 3, 4), SMALL.tobytes()), "4,294,967,295 items"),
    "absurd shape": (idx((2**32 - 1,) * 3, SMALL.tobytes()), "shape"),
    "largest count, no data": (idx((MOST_ITEMS, 3, 4), b""), "has only 0"),
    "cut gzip": (PACKED[:-4], "not valid gzip"),
    "gzip of nothing": (gzip.compress(b""), "is empty"),
    "gzip of something truncated": (gzip.compress(GOOD[:-1]), "and has only 23"),
    "gzip with trailing bytes": (gzip.compress(GOOD + b"\0"), "and has more"),
    "wrong checksum": (PACKED[:-8] + bytes((PACKED[-8] ^ 1,)) + PACKED[-7:], "not valid gzip"),
    "half of a gzip header": (PACKED[:2], "not valid gzip"),
    "something behind the gzip": (PACKED + b"more", "not valid gzip"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_idx_file_is_refused_by_name(tmp_path: Path, case: str) -> None:
    contents, message = BAD[case]
    path = tmp_path / "some-images"
    path.write_bytes(contents)
    with pytest.raises(InputError, match=message) as refused:
        read_idx(path, (3, 4))
    assert "some-images" in str(refused.value)


def test_a_folder_in_the_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be a file, and it is a folder"):
        read_idx(tmp_path, (3, 4))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(GOOD)
    path.chmod(0)
    with pytest.raises(InputError, match="cannot be read"):
        read_idx(path, (3, 4))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="must be a file"):
        read_idx(tmp_path / "pipe", (3, 4))


def test_a_file_larger_than_any_published_one_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(3 << 30)  # a hole: nothing is on the disk
    with pytest.raises(InputError, match="3,221,225,472 bytes"):
        read_idx(path, (3, 4))


def test_a_header_that_promises_much_costs_no_memory() -> None:
    import tracemalloc

    tracemalloc.start()
    with pytest.raises(InputError):
        parse_idx(io.BytesIO(idx((MOST_ITEMS, 28, 28), b"x" * 100)), Path("x"), (28, 28))
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def mutated(contents: bytes, changes: list[tuple[str, int, int]]) -> bytes:
    """Bytes with some of them replaced, inserted or taken out, or cut off."""
    changed = bytearray(contents)
    for kind, place, value in changes:
        place %= len(changed) + 1
        if kind == "replace" and place < len(changed):
            changed[place] = value
        elif kind == "insert":
            changed.insert(place, value)
        elif kind == "delete":
            del changed[place : place + 1 + value % 4]
        elif kind == "cut":
            del changed[place:]
    return bytes(changed)


CHANGES = st.lists(
    st.tuples(st.sampled_from(["replace", "insert", "delete", "cut"]), st.integers(0, 1 << 14), st.integers(0, 255)), max_size=4
)


@FUZZ
@given(changes=CHANGES, packed=st.booleans())
def test_a_mutated_idx_file_is_refused_or_read_right(tmp_path: Path, changes: list[Any], packed: bool) -> None:
    contents = mutated(PACKED if packed else GOOD, changes)
    path = tmp_path / "file"
    path.write_bytes(contents)
    try:
        found = read_idx(path, (3, 4))
    except InputError:
        return
    plain = gzip.decompress(contents) if contents[:2] == b"\x1f\x8b" else contents
    assert plain[:4] == b"\0\0\x08\x03"
    assert found.array.shape == (int.from_bytes(plain[4:8], "big"), 3, 4)
    assert found.array.tobytes() == plain[16:]


@FUZZ
@given(contents=st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(contents: bytes) -> None:
    try:
        found = parse_idx(io.BytesIO(contents), Path("x"), ())
    except InputError:
        return
    assert contents == idx((len(found.array),), found.array.tobytes(), b"\0\0\x08\x01")


def test_cifar_planes_become_pixels(toy_files: ModuleType) -> None:
    images, labels = toy_files.bars(1, 32, draw=3, channels=3)
    x, y = parse_batch(toy_files.cifar_bytes(images, labels), Path("x"))
    np.testing.assert_array_equal(x.reshape(images.shape), images)
    np.testing.assert_array_equal(y, labels)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "0 bytes"),
        (bytes(RECORD - 1), "3,072 bytes; expected records of 3,073"),
        (bytes(RECORD + 1), "3,074 bytes"),
        (bytes(RECORD) + b"\x0a" + bytes(RECORD - 1), "record 1 has class 10, expected 0 to 9"),
    ],
)
def test_a_bad_cifar_file_is_refused_by_name(contents: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        parse_batch(contents, Path("data_batch_3.bin"))
    assert "data_batch_3.bin" in str(refused.value)


def test_the_archive_gives_what_the_folder_gives(toy_files: ModuleType, data_root: Path, tmp_path: Path) -> None:
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(toy_files.cifar_archive(toy_files.cifar_files()))
    before = sorted(tmp_path.rglob("*"))
    (folder_train, folder_test, folder_sums), (train, test, sums) = read_cifar(data_root), read_cifar(tmp_path)
    for ours, theirs in zip((*train, *test), (*folder_train, *folder_test), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert sums == folder_sums
    assert sorted(tmp_path.rglob("*")) == before, "nothing is unpacked"
    path = data_root / "cifar-10-batches-bin" / "test_batch.bin"
    assert sums["test_batch.bin"] == hashlib.sha256(path.read_bytes()).hexdigest()


def archive_of(*entries: tuple[str, bytes, bytes]) -> bytes:
    """An archive of (name, type, contents)."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as archive:
        for name, kind, contents in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.size, entry.linkname = kind, len(contents), "/etc/passwd"
            archive.addfile(entry, io.BytesIO(contents))
    return written.getvalue()


FIRST = "cifar-10-batches-bin/data_batch_1.bin"


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "not a valid .tar.gz"),
        (b"no archive", "not a valid .tar.gz"),
        (gzip.compress(b"no archive"), "not a valid .tar.gz"),
        (archive_of(), "lacks .*data_batch_1.bin, .*test_batch.bin"),
        (archive_of((FIRST, tarfile.SYMTYPE, b"")), "data_batch_1.bin must be a file"),
        (archive_of((FIRST, tarfile.DIRTYPE, b"")), "data_batch_1.bin must be a file"),
        (archive_of((f"./{FIRST}", tarfile.REGTYPE, bytes(RECORD))), "lacks .*data_batch_1.bin"),
        (archive_of(*[(FIRST, tarfile.REGTYPE, bytes(RECORD))] * 2), "data_batch_1.bin twice"),
    ],
    ids=["empty", "no gzip", "no tar", "no member", "link", "folder", "other name", "twice"],  # gzip writes the time down
)
def test_a_bad_archive_is_refused_by_name(tmp_path: Path, contents: bytes, message: str) -> None:
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(contents)
    with pytest.raises(InputError, match=message) as refused:
        read_cifar(tmp_path)
    assert "cifar-10-binary.tar.gz" in str(refused.value)


def test_a_member_larger_than_any_published_one_is_not_read(tmp_path: Path) -> None:
    entry = tarfile.TarInfo(FIRST)
    entry.size = 1 << 40
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(gzip.compress(entry.tobuf() + bytes(1024)))
    with pytest.raises(InputError, match="1,099,511,627,776 bytes"):
        read_cifar(tmp_path)


def small_archive() -> tuple[bytes, dict[str, bytes]]:
    names = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
    files = {name: bytes([number]) * 1 + bytes([number + 7]) * (RECORD - 1) for number, name in enumerate(names)}
    return gzip.decompress(archive_of(*((f"cifar-10-batches-bin/{n}", tarfile.REGTYPE, c) for n, c in files.items()))), files


@FUZZ
@given(changes=CHANGES, cut=st.booleans())
def test_a_mutated_archive_is_refused_or_read_right(tmp_path: Path, changes: list[Any], cut: bool) -> None:
    """Mutated inside, where tar's headers are, and then packed; or mutated as it is."""
    plain, _ = small_archive()
    contents = mutated(gzip.compress(plain, 1), changes) if cut else gzip.compress(mutated(plain, changes), 1)
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(contents)
    try:
        train, test, _ = read_cifar(tmp_path)
    except InputError:
        return
    assert train[0].shape[1] == test[0].shape[1] == RECORD - 1
    assert len(train[0]) == len(train[1]) >= 5
    assert max(train[1].max(), test[1].max()) < 10


NEEDED = {
    "mnist": (IMAGES, LABELS, "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
    "fashion-mnist": (IMAGES, LABELS, "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
    "cifar10": (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"),
}
FOLDERS = {
    "mnist": ("MNIST/raw", "mnist"),
    "fashion-mnist": ("FashionMNIST/raw", "fashion-mnist"),
    "cifar10": ("cifar-10-batches-bin", "cifar-10-binary.tar.gz"),
}


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("root", ["", "nowhere"])
def test_absent_files_are_all_named_with_their_place(tmp_path: Path, name: str, root: str) -> None:
    with pytest.raises(InputError) as refused:
        load_data(name, tmp_path / root)
    message = str(refused.value)
    for word in (*NEEDED[name], *FOLDERS[name], str(tmp_path / root), "--data-root", "https://"):
        assert word in message


@pytest.mark.parametrize(("folder", "packed"), [("MNIST/raw", False), ("MNIST/raw", True), ("mnist", True)])
def test_mnist_is_found_in_either_layout(toy_files: ModuleType, tmp_path: Path, folder: str, packed: bool) -> None:
    toy_files.write_idx_set(tmp_path / folder, packed=packed)
    data = load_data("mnist", tmp_path)
    images, labels = toy_files.bars(6, 28, 0)
    np.testing.assert_array_equal(data.train[0].numpy(), images.reshape(len(images), -1))
    np.testing.assert_array_equal(data.train[1].numpy(), labels)
    assert data.files[IMAGES] == hashlib.sha256(toy_files.idx_bytes(images[..., 0])).hexdigest()


def renamed(folder: Path, spell: Callable[[str], str]) -> Path:
    for path in list(folder.iterdir()):
        target = folder / spell(path.name)
        contents = path.read_bytes()
        path.unlink()
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(contents)
    return folder


@pytest.mark.parametrize(
    "spell", [lambda name: name.replace("-idx", ".idx"), lambda name: f"{name}/{name}", lambda name: f"{name}.gz"]
)
@pytest.mark.parametrize("root", ["", "mnist"])
def test_files_are_found_as_others_spell_them_and_in_the_folder_itself(
    toy_files: ModuleType, tmp_path: Path, spell: Callable[[str], str], root: str
) -> None:
    toy_files.write_idx_set(tmp_path / "plain" / "mnist")
    toy_files.write_idx_set(tmp_path / "other" / "mnist")
    renamed(tmp_path / "other" / "mnist", spell)
    plain, other = load_data("mnist", tmp_path / "plain"), load_data("mnist", tmp_path / "other" / root)
    assert plain.files == other.files
    np.testing.assert_array_equal(plain.train[0], other.train[0])


def test_the_files_of_cifar_are_found_in_the_folder_itself(toy_files: ModuleType, tmp_path: Path) -> None:
    toy_files.write_cifar_folder(tmp_path)
    assert load_data("cifar10", tmp_path / "cifar-10-batches-bin").files == load_data("cifar10", tmp_path).files


@pytest.mark.parametrize(("asked", "given", "first"), [("mnist", "fashion-mnist", 9), ("fashion-mnist", "mnist", 5)])
def test_the_files_of_the_other_set_are_not_taken_for_those_asked_for(
    toy_files: ModuleType, tmp_path: Path, asked: str, given: str, first: int
) -> None:
    toy_files.write_idx_set(tmp_path / "files")
    labels = toy_files.bars(6, 28, 0)[1]
    labels[:10] = FIRST_LABELS[given]
    assert labels[0] == first
    rewrite(tmp_path / "files" / LABELS, labels, toy_files)
    with pytest.raises(InputError, match=f"{LABELS} belongs to {given}, and {asked} was asked for"):
        load_data(asked, tmp_path / "files")
    assert load_data(given, tmp_path / "files").name == given


def test_the_home_folder_is_spelled_out(toy_files: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    toy_files.write_idx_set(tmp_path / "data" / "mnist")
    assert build_scenario(Spec("split-mnist", {}), 0, Path("~/data")).files


def test_only_what_is_missing_is_named(toy_files: ModuleType, tmp_path: Path) -> None:
    toy_files.write_idx_set(tmp_path / "mnist")
    (tmp_path / "mnist" / LABELS).unlink()
    with pytest.raises(InputError) as refused:
        load_data("mnist", tmp_path)
    assert LABELS in str(refused.value)
    assert IMAGES not in str(refused.value)
    assert "MNIST/raw" not in str(refused.value)


@pytest.mark.parametrize("pickled", ["cifar-10-batches-py", "cifar-10-python.tar.gz"])
def test_the_pickled_version_of_cifar_is_named_and_never_opened(tmp_path: Path, pickled: str) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (open, (str(tmp_path / "sprung"), "w"))

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "data_batch_1").write_bytes(pickle.dumps(Trap()))
    if pickled != folder.name:
        (folder / "data_batch_1").rename(tmp_path / pickled)
        folder.rmdir()
    with pytest.raises(InputError, match="binary version") as refused:
        load_data("cifar10", tmp_path)
    assert pickled in str(refused.value)
    assert not (tmp_path / "sprung").exists()


def rewrite(path: Path, array: np.ndarray, toy_files: ModuleType) -> None:
    path.write_bytes(toy_files.idx_bytes(array))


def test_images_and_labels_must_be_as_many_and_labels_in_range(toy_files: ModuleType, tmp_path: Path) -> None:
    toy_files.write_idx_set(tmp_path / "mnist")
    _, labels = toy_files.bars(6, 28, 0)
    rewrite(tmp_path / "mnist" / LABELS, labels[:-1], toy_files)
    with pytest.raises(InputError, match=f"{IMAGES} has 60 images and .*{LABELS} 59 labels"):
        load_data("mnist", tmp_path)
    labels[3] = 10
    rewrite(tmp_path / "mnist" / LABELS, labels, toy_files)
    with pytest.raises(InputError, match=f"{LABELS}: label 3 is 10, expected 0 to 9"):
        load_data("mnist", tmp_path)


def test_a_folder_in_the_place_of_images(toy_files: ModuleType, tmp_path: Path) -> None:
    toy_files.write_idx_set(tmp_path / "mnist")
    (tmp_path / "mnist" / IMAGES).unlink()
    (tmp_path / "mnist" / IMAGES).mkdir()
    with pytest.raises(InputError, match=f"{IMAGES} must be a file, and it is a folder"):
        load_data("mnist", tmp_path)


def test_a_training_image_that_is_also_tested_is_left_out(toy_files: ModuleType, tmp_path: Path) -> None:
    toy_files.write_idx_set(tmp_path / "mnist")
    images, labels = toy_files.bars(6, 28, 0)
    tests, _ = toy_files.bars(2, 28, 1)
    images[5], images[9] = tests[0], tests[0]
    rewrite(tmp_path / "mnist" / IMAGES, images[..., 0], toy_files)
    data = load_data("mnist", tmp_path)
    kept = [number for number in range(60) if number not in (5, 9)]
    np.testing.assert_array_equal(data.train[0].numpy(), images.reshape(60, -1)[kept])
    np.testing.assert_array_equal(data.train[1].numpy(), labels[kept])
    assert data.test is not None
    assert len(data.test[0]) == 20


def test_nothing_is_written(toy_files: ModuleType, tmp_path: Path) -> None:
    toy_files.write_data_root(tmp_path / "data")
    seen = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    for name in NEEDED:
        load_data(name, tmp_path / "data")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == seen
