"""Files of the user's own: imported together with what lies beside them, and what they consist of.

``from helper import x`` works in them as under ``python file.py``, from any working directory, also inside a function that
runs later. ``sys.path`` stays as it is: the modules of a folder have an ``__import__`` of their own, which looks beside them
first, and what it finds stands in ``sys.modules`` as a part of that folder, so that two files that each have a ``helper.py``
beside them get their own, and nobody else gets either.

What a file consists of is known before any of it runs: the import statements in it and in what they name are read. Only what
they name can be imported from beside, and the bytes that were digested are those that run (no ``__pycache__``).
"""

import ast
import builtins
import hashlib
import importlib
import importlib.util
import inspect
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

PREFIX = "_kancl_file_"
CODE = (".py", *EXTENSION_SUFFIXES)
NEVER_BESIDE = frozenset({"kancl", "scenarios", "runners", *sys.builtin_module_names})
"""What a folder beside cannot replace, whatever lies in it."""

SETTLED = 3_000_000_000
"""Nanoseconds since a file's last change after which a later one is sure to have another time, whatever a clock's tick is."""


def load_file(path: Path) -> ModuleType:
    """Import a file once per process, under a name that no package has.

    Raises:
        Exception: whatever the file raises; nothing of it is kept then.
    """
    path = path.resolve()
    name = module_name(path)
    if name in sys.modules:
        return sys.modules[name]
    folder, files = _folder(path.parent), closure(path)
    known, before = dict(folder.files), set(sys.modules)
    folder.files.update({file: digest for file, digest in files.items() if file not in known})
    folder.closures[path] = {file: folder.files[file] for file in files}
    spec = importlib.util.spec_from_file_location(name, path, loader=_Loader(name, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        folder.files = known
        _forget(folder, set(sys.modules) - before | {name})
        raise
    return module


def module_name(path: Path) -> str:
    """Return the name under which a file is imported."""
    path = path.resolve()
    return f"{_package(path.parent)}.{path.stem.replace('.', '_')}"


def digests(path: Path) -> dict[str, str]:
    """Return the SHA-256, by name in its folder, of a file and of all beside it that it imports, as they were imported."""
    load_file(path)
    path = path.resolve()
    files = _folder(path.parent).closures[path]
    return {file.relative_to(path.parent).as_posix(): digest for file, digest in files.items()}


def loaded_files() -> list[Path]:
    """Return the files that :func:`load_file` imported and that are in use, in that order."""
    return [path for folder in list(sys.modules.values()) if isinstance(folder, _Folder) for path in folder.closures]


def package_of(point: "EntryPoint") -> dict[str, str]:
    """Return the version of an entry point's package, with a digest of its code, which may be edited in place."""
    top = sys.modules.get(point.module.partition(".")[0])
    folders = [Path(folder) for folder in getattr(top, "__path__", [])]
    files = {file: file.relative_to(folder) for folder in folders for file in folder.rglob("*") if file.suffix in CODE}
    if not folders and top is not None and top.__file__:
        files = {Path(top.__file__): Path(Path(top.__file__).name)}
    digest = hashlib.sha256()
    for file, name in sorted(files.items(), key=lambda item: item[1].as_posix()):
        digest.update(f"{name.as_posix()} {_sha256(file)}\n".encode(errors="surrogateescape"))
    package, version = (point.dist.name, point.dist.version) if point.dist else (point.module, "without a version")
    return {f"package {package}": f"{version} {digest.hexdigest()}"}


def file_of(builder: Callable[..., Any]) -> dict[str, str]:
    """Return the SHA-256 of the file that a function or class was written in and of what it imports from beside, by name."""
    try:
        path = Path(inspect.getsourcefile(inspect.unwrap(builder)) or "").resolve()
        return {file.relative_to(path.parent).as_posix(): digest for file, digest in closure(path).items()}
    except (TypeError, OSError):  # of no file, or one that is not there
        return {}


def forget_edited() -> None:
    """Let go of every folder of which a file is no longer what was imported, so that it is imported anew when asked for."""
    for name, folder in [(name, module) for name, module in sys.modules.items() if type(module) is _Folder]:
        if any(folder.was_edited(file) for file in folder.files):
            _forget(folder, {other for other in sys.modules if other == name or other.startswith(f"{name}.")})


def closure(path: Path) -> dict[Path, str]:
    """Return the SHA-256 of a file and of everything beside it that import statements name, also inside functions."""
    folder, found, waiting = path.parent, dict[Path, str](), [path]
    while waiting:
        file = waiting.pop()
        if file in found:
            continue
        content = file.read_bytes()
        found[file] = hashlib.sha256(content).hexdigest()
        if file.suffix == ".py":
            waiting += _imported(content, file, folder)
    return found


class _Folder(ModuleType):
    """A folder as a package without a name of its own.

    ``files`` are those that may be imported, with their SHA-256; ``closures`` has those that each loaded file needs, and
    ``stamps`` how files looked from outside when they were last seen to be unchanged.
    """

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(name)
        self.__path__ = [str(path)]
        self.path = path
        self.files: dict[Path, str] = {}
        self.closures: dict[Path, dict[Path, str]] = {}
        self.stamps: dict[Path, tuple[int, ...]] = {}

    def was_edited(self, file: Path) -> bool:
        """Tell whether a file is no longer what was imported; it is read again only if its stamp is another one."""
        stamp = _stamp(file)
        if stamp is not None and self.stamps.get(file) == stamp:
            return False
        if _sha256(file) != self.files[file]:
            return True
        if stamp is not None and max(stamp[:2]) < time.time_ns() - SETTLED:
            self.stamps[file] = stamp
        return False


def _folder(path: Path) -> _Folder:
    name = _package(path)
    known = sys.modules.get(name)
    if isinstance(known, _Folder):
        return known
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    folder = sys.modules[name] = _Folder(name, path)
    return folder


def _package(folder: Path) -> str:
    return PREFIX + hashlib.sha256(str(folder).encode(errors="surrogateescape")).hexdigest()[:16]


def _forget(folder: _Folder, names: set[str]) -> None:
    for name in names:
        if name == folder.__name__ or name.startswith(f"{folder.__name__}."):
            sys.modules.pop(name, None)
    if not any(name.startswith(f"{folder.__name__}.") for name in sys.modules):
        sys.modules.pop(folder.__name__, None)  # nothing of it is in use: its files may change


class _Finder:  # by its methods, since the base class is slow to import
    """Finds the modules of folders, those that begin with ``PREFIX``, and no others."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /) -> ModuleSpec | None:
        if not fullname.startswith(PREFIX) or path is None:
            return None
        for place in path:  # a new look at the folder: a kept one may be older than a new file
            spec = FileFinder(place, (ExtensionFileLoader, EXTENSION_SUFFIXES), (_Loader, [".py"])).find_spec(fullname)
            if spec is not None and (spec.loader is not None or spec.submodule_search_locations):
                return spec
        return None


_FINDER = _Finder()


class _Loader(SourceFileLoader):
    """Runs the bytes that were digested, with imports that look beside."""

    def exec_module(self, module: ModuleType) -> None:
        folder = sys.modules[self.name.partition(".")[0]]
        assert isinstance(folder, _Folder)
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": partial(_import, folder)}
        super().exec_module(module)

    def get_code(self, fullname: str) -> CodeType:
        content, file = self.get_data(self.path), Path(self.path)
        folder = sys.modules[fullname.partition(".")[0]]
        assert isinstance(folder, _Folder)
        shown = file.relative_to(folder.path)
        if file not in folder.files:
            raise ImportError(
                f"{shown} is imported by a name that no import statement shows; write the statement, so that it is known what "
                "the results depend on",
                name=fullname,
            )
        if folder.files[file] != hashlib.sha256(content).hexdigest():
            raise ImportError(f"{shown} changed while it was in use; run the command again", name=fullname)
        code: CodeType = self.source_to_code(content, self.path)
        return code


def _import(
    folder: _Folder,
    name: str,
    globals: Mapping[str, Any] | None = None,
    locals: Mapping[str, Any] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    """Import as the builtin of that name does, only that what lies beside the importing file comes first."""
    top = name.partition(".")[0]
    importer = (globals or {}).get("__name__", "")
    own = importer == f"{folder.__name__}.{top}" and _elsewhere(top)  # random.py that means Python's
    if level or own or not _lies_in(folder.path, top):
        return builtins.__import__(name, globals, locals, fromlist or (), level)
    full = f"{folder.__name__}.{name}"
    module = importlib.import_module(full)
    if fromlist:
        return builtins.__import__(full, None, None, fromlist)
    return sys.modules[f"{folder.__name__}.{top}"] if "." in name else module


def _lies_in(folder: Path, top: str) -> bool:
    """Tell whether a module lies in a folder; one without any file of its own counts only where nothing else has its name."""
    if top in NEVER_BESIDE or folder.name in ("site-packages", "dist-packages"):  # where all that is installed lies
        return False
    if any((folder / f"{top}{ending}").is_file() for ending in (".py", *EXTENSION_SUFFIXES)):
        return True
    inside = folder / top
    return inside.is_dir() and ((inside / "__init__.py").is_file() or not _elsewhere(top))


def _elsewhere(top: str) -> bool:
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


def _imported(content: bytes, file: Path, folder: Path) -> Iterator[Path]:
    """Yield the files beside that the import statements of a file name."""
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # told when it is imported
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _files_of(folder, alias.name.split("."), top=True)
        elif isinstance(node, ast.ImportFrom):
            parts = node.module.split(".") if node.module else []
            base = folder
            if node.level:
                if len(file.relative_to(folder).parts) < node.level:
                    continue  # beyond the folder: refused when it is imported
                base = file.parents[node.level - 1]
            for alias in node.names:
                yield from _files_of(base, [*parts, alias.name], top=not node.level)


def _files_of(base: Path, parts: list[str], top: bool) -> Iterator[Path]:
    """Yield the files that importing ``parts[0].parts[1]...`` below a folder runs."""
    if top and not _lies_in(base, parts[0]):
        return
    for number, part in enumerate(parts):
        if part == "*" and number:  # of a package, which may name any of its modules in __all__
            yield from sorted(base.glob("*.py"))
            return
        beginning = base / part / "__init__.py"
        files = [beginning, *(base / f"{part}{ending}" for ending in (*EXTENSION_SUFFIXES, ".py"))]
        file = next((file for file in files if file.is_file()), None)
        if file is not None:
            yield file
        if (file is not None and file != beginning) or (file is None and not (base / part).is_dir()):
            return
        base = base / part


def _stamp(file: Path) -> tuple[int, ...] | None:
    """Return what tells a file from a later one in its place without reading it: the times of its changes, and what it is."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_dev, found.st_ino


def _sha256(file: Path) -> str | None:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return None
