"""Guards who can make kancl run a compiled library: this user and root, nobody else, whatever lies where the cache is named."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kancl.splines import kept

NAME = "spline-float32-0-0123456789abcdef.so"
NOBODY = 65534


def library(folder: Path) -> Path:
    """Write a file as a kernel is kept: its checksum is right, whoever wrote it."""
    content = b"what a stranger would have run" * 100
    path = folder / NAME
    path.write_bytes(content + hashlib.sha256(content).digest())
    path.chmod(0o755)
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder with a whole library."""
    monkeypatch.setenv("KANCL_CACHE", str(tmp_path / "above" / "cache"))
    folder = kept.folder()
    assert kept.is_whole(library(folder))
    return folder


@pytest.fixture
def give_away(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Let a file or folder belong to somebody else."""

    def give(path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        else:  # only root may give away; but this user may be somebody else
            own = os.geteuid()
            monkeypatch.setattr(os, "geteuid", lambda: own + 1)

    return give


@pytest.fixture(params=[0o000, 0o022, 0o777], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.usefixtures("umask")
def test_new_folders_are_this_users_alone_whatever_the_umask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = tmp_path / "home" / ".cache" / "kancl"
    monkeypatch.setenv("KANCL_CACHE", str(wanted))
    assert kept.folder() == wanted
    assert [mode(folder) for folder in (wanted, wanted.parent, wanted.parent.parent)] == [0o700] * 3
    with kept.workshop(wanted) as place:
        assert mode(place) == 0o700
    with kept.private() as place:
        assert mode(place) == 0o700
    assert not place.exists()


@pytest.mark.parametrize("open_to", [0o777, 0o775, 0o1777, 0o702], ids=oct)
def test_a_cache_that_others_can_write_to_is_not_used(cache: Path, open_to: int) -> None:
    cache.chmod(open_to)
    with pytest.raises(kept.UnusableError, match=rf"others can write to {cache} \(mode {open_to:o}; chmod go-w"):
        kept.folder()
    cache.chmod(0o755)  # that others may read it does no harm
    assert kept.folder() == cache


def test_nor_one_below_a_folder_that_others_can_write_to(cache: Path) -> None:
    cache.parent.chmod(0o777)
    with pytest.raises(kept.UnusableError, match=f"others can write to {cache.parent} "):
        kept.folder()
    cache.parent.chmod(0o1777)  # sticky, as /tmp is: nobody else can put another folder in its place
    assert kept.folder() == cache


def test_nothing_is_made_where_somebody_else_could_make_it_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "open").mkdir(0o777)
    (tmp_path / "open").chmod(0o777)
    monkeypatch.setenv("KANCL_CACHE", str(tmp_path / "open" / "deep" / "cache"))
    with pytest.raises(kept.UnusableError, match="others can write"):
        kept.folder()
    assert list((tmp_path / "open").iterdir()) == []


@pytest.mark.parametrize("whose", ["folder", "above"])
def test_a_cache_of_somebody_else_is_not_used(cache: Path, give_away: Callable[[Path], None], whose: str) -> None:
    """As root finds it who keeps the HOME of the user who called sudo, and whoever finds it made before in /tmp."""
    cache.parent.chmod(0o1777)
    give_away(cache if whose == "folder" else cache.parent)
    with pytest.raises(kept.UnusableError, match="belongs to user"):
        kept.folder()


def test_links_are_followed_where_nobody_else_can_turn_them(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, give_away: Callable[[Path], None]
) -> None:
    steps = tmp_path / "steps"
    steps.mkdir()
    steps.chmod(0o1777)
    (steps / "link").symlink_to("../above/../above/cache")
    monkeypatch.setenv("KANCL_CACHE", str(steps / "link"))
    assert kept.folder().samefile(cache)
    cache.chmod(0o777)
    with pytest.raises(kept.UnusableError, match=f"others can write to {cache} "):
        kept.folder()
    cache.chmod(0o700)
    give_away(steps / "link")
    with pytest.raises(kept.UnusableError, match=f"{steps / 'link'} belongs to user"):
        kept.folder()


def test_of_a_path_that_turns_back_every_folder_counts(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / "below").mkdir()
    cache.chmod(0o777)
    monkeypatch.setenv("KANCL_CACHE", str(cache / "below" / ".."))
    with pytest.raises(kept.UnusableError, match="others can write"):
        kept.folder()


def _second_name(path: Path) -> None:
    os.link(path, path.with_name("second"))


def _linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _endless(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(2**40)


ODD: dict[str, Callable[[Path], None]] = {
    "others-can-write": lambda path: path.chmod(0o757),
    "group-can-write": lambda path: path.chmod(0o775),
    "second-name": _second_name,
    "link": _linked,
    "pipe": _pipe,
    "folder": _folder,
    "endless": _endless,
    "missing": Path.unlink,
}


@pytest.mark.parametrize("make_odd", ODD.values(), ids=ODD)
def test_a_library_that_somebody_else_may_have_put_there_counts_as_absent(
    cache: Path, make_odd: Callable[[Path], None]
) -> None:
    make_odd(cache / NAME)
    assert not kept.is_whole(cache / NAME)


def test_as_does_one_that_belongs_to_somebody_else(cache: Path, give_away: Callable[[Path], None]) -> None:
    give_away(cache / NAME)
    assert not kept.is_whole(cache / NAME)
