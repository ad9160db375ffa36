"""The decorators of all numba kernels, and how long their compiled code is good.

Compiling takes seconds, so compiled code is kept. numba's own cache takes it for good while the kernel's file stays as
it is. But kernels have functions and constants of other files compiled into them: an edited activation, or the mass of
a pole, would change nothing. Here compiled code is good while nothing changes that it is made of: the kernel's file,
the files that the types of its arguments come from, files named by `made_of`, and all files of the program that any of
these import.

A cache is a convenience. An entry that cannot be read is a miss, and one that cannot be written is done without. What
two processes want at the same time one compiles, and the other waits for it.
"""

import ast
import contextlib
import functools
import hashlib
import inspect
import logging
import multiprocessing
import os
import pickle
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import filelock
import numba
from numba import types
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps
from numba.extending import intrinsic
from numba.misc.appdirs import user_cache_dir

ROOT = Path(__file__).resolve().parent.parent
NOT_OURS = {"builtins", "numba", "numpy"}  # packages of types whose code is part of numba's version
INSTALLED = {"site-packages", "dist-packages"}
PATIENCE = 300.0  # seconds that one process waits for what another compiles
LOG = logging.getLogger(__name__)

njit: Any = numba.njit  # mypy would see that `_nrt` is no option for everybody
operation: Any = intrinsic  # an instruction by its LLVM name; mypy would see the function that builds it


def kernel(function: Callable) -> Any:
    """The function compiled for the types it is called with; it releases the GIL.

    With numpy's error model a division by zero gives infinity or NaN, and no check stops vectorisation. References are
    counted (`_nrt`) whoever calls it: numba would else take that over from the first caller.
    """
    return _kept(njit(nogil=True, error_model="numpy", _nrt=True)(function))


def lean(function: Callable) -> Any:
    """A kernel that counts no references to arrays: a call with twenty of them would else change forty counters.

    For what is called for each neuron or network. It makes no array, which would never be freed, and returns none. It
    may call a `kernel` that makes some for itself.
    """
    return _kept(njit(nogil=True, error_model="numpy", _nrt=False)(function))


def small(function: Callable) -> Any:
    """A `lean` kernel whose machine code is put in place of each call: where a call takes as long as what it does."""
    return _kept(njit(nogil=True, error_model="numpy", forceinline=True, _nrt=False)(function))


def inlined(function: Callable) -> Any:
    """A `kernel` whose source is put in place of each call."""
    return _kept(njit(nogil=True, error_model="numpy", inline="always")(function))


def _kept(dispatcher: Any) -> Any:
    file = Path(inspect.getfile(dispatcher.py_func))
    if file.is_file():  # a notebook's cell is none: what it is made of cannot be known
        cache = KernelCache(dispatcher.py_func, file.resolve())
        dispatcher._cache = cache
        dispatcher.compile = cache.letting_go(dispatcher.compile)
    return dispatcher


def made_of(what: str, file: Path | str) -> None:
    """All kernels that are compiled from now on are made of this too, which is written in that file.

    For code that gets into a kernel in another way than by an import in the kernel's file or by an argument's type.
    """
    path = Path(file).resolve()
    if path.is_file():
        _ADDED[what] = path
        sources(path)
    else:  # a notebook's cell: nobody knows whether it is still the same
        _ADDED[f"{what} {uuid.uuid4()}"] = ROOT


_ADDED: dict[str, Path] = {}


class KernelCache(_Cache):
    """Compiled code of one kernel: a file for each signature, beside the kernel's file or in the user's cache folder.

    A file's name says the signature and what the code is made of; its first 32 bytes are the SHA-256 of the rest.
    """

    def __init__(self, function: Callable, file: Path) -> None:
        self._function, self._file = function, file
        self._folders = cache_folders(file)
        self._locks: dict[Any, filelock.BaseFileLock] = {}  # of the signatures that compile now
        sources(file)  # read now: a file that is edited while kernels compile is not what they are made of

    @property
    def cache_path(self) -> str:
        return str(self._folders[0])

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """The compiled code, or None where there is none that is whole and good.

        None also says that it is for this process to compile it: others that want it wait until it `lets_go`.
        """
        target_context.refresh()
        kind = self._kind(signature, target_context.codegen())
        name = f"{kind}.{self._stamp(signature)}.nbc"
        found = self._read(name, target_context)
        if found is None:
            _tell_once()
            self._lock(signature, f"{kind}.lock")
            found = self._read(name, target_context)  # another process may have compiled it meanwhile
        return found

    def _read(self, name: str, target_context: Any) -> Any:
        for folder in self._folders:
            with contextlib.suppress(Exception):  # of a damaged file anything may come
                content = (folder / name).read_bytes()
                if hashlib.sha256(content[32:]).digest() == content[:32]:
                    return CompileResult._rebuild(target_context, *pickle.loads(content[32:]))
        return None

    def _lock(self, signature: Any, name: str) -> None:
        """Wait until no other process compiles this, and let others wait. What cannot be locked is compiled unlocked.

        A kernel that calls others waits for theirs while it holds its own lock. Nothing waits in a circle, since
        kernels do not call each other in one.
        """
        for folder in self._folders:
            with contextlib.suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
                lock = filelock.FileLock(folder / name, timeout=PATIENCE, fallback_to_soft=False)
                lock.acquire()
                self._locks[signature] = lock
                return

    def letting_go(self, compile_: Callable) -> Callable:
        """The same `compile`, after which the lock on a signature is released and its file removed."""

        def compile_and_let_go(signature: Any) -> Any:
            try:
                return compile_(signature)
            finally:
                lock = self._locks.pop(signature, None)
                if lock is not None:
                    with contextlib.suppress(OSError):
                        os.unlink(lock.lock_file)  # before it is released: afterwards it may be another's
                    with contextlib.suppress(OSError):
                        lock.release()

        return compile_and_let_go

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep compiled code in the first folder that takes it, in place of code for the same signature."""
        if result.lifted or result.library.has_dynamic_globals:
            return
        kind, stamp = self._kind(signature, result.codegen), self._stamp(signature)
        content = dumps(result._reduce())
        reasons = []
        for folder in self._folders:
            try:
                _write(folder, f"{kind}.{stamp}.nbc", hashlib.sha256(content).digest() + content)
            except OSError as error:
                reasons.append(f"{folder} ({error.strerror or error})")
                continue
            for old in folder.glob(f"{kind}.*.nbc"):
                if old.name != f"{kind}.{stamp}.nbc":
                    with contextlib.suppress(OSError):
                        old.unlink()
            return
        _warn_once(reasons)

    def _kind(self, signature: Any, codegen: Any) -> str:
        """A file name's beginning, the same as long as function, signature, numba and processor are."""
        function = self._function
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
        what = repr((signature, codegen.magic_tuple(), numba.__version__, sys.version_info[:2]))
        digest = hashlib.sha256(what.encode() + function.__code__.co_code + (dumps(cells) if cells else b""))
        name = function.__qualname__.replace("<", "").replace(">", "")
        return f"{self._file.stem}.{name}-{function.__code__.co_firstlineno}.{digest.hexdigest()[:16]}"

    def _stamp(self, signature: Any) -> str:
        return stamp([self._file, *_files_of_types(signature), *_ADDED.values()], "\n".join(_ADDED))

    def enable(self) -> None:
        """Nothing: it is always on."""

    def disable(self) -> None:
        """Nothing: it is always on."""

    def flush(self) -> None:
        """Remove what is kept of this kernel."""
        for folder in self._folders:
            for file in folder.glob(f"{self._file.stem}.{self._function.__qualname__}-*.nbc"):
                file.unlink(missing_ok=True)


def cache_folders(file: Path) -> list[Path]:
    """Where compiled code of a file is kept: the first that can be written; read from any.

    The folder that NUMBA_CACHE_DIR names, or else `__pycache__` beside the file and the user's own cache.
    """
    apart = f"{file.parent.name}_{hashlib.sha256(bytes(file.parent)).hexdigest()[:24]}"
    if numba.config.CACHE_DIR:  # type: ignore[attr-defined]
        return [Path(numba.config.CACHE_DIR) / apart]  # type: ignore[attr-defined]
    return [file.parent / "__pycache__", Path(user_cache_dir("numba", False)) / apart]


def _write(folder: Path, name: str, content: bytes) -> None:
    """So that a reader finds the whole file or none. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f"{name}.", suffix=".tmp", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.replace(temporary, folder / name)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


@functools.cache
def _tell_once() -> None:
    """Compiled code is not there yet, or no longer good: a start would else be silent for as long as that takes."""
    LOG.info("compiling kernels: about 20 s where none is compiled yet; the next start finds them")


@functools.cache
def _warned() -> None:
    pass


def _warn_once(reasons: Sequence[str]) -> None:
    """Once in a run: its workers stay silent."""
    if not _warned.cache_info().currsize and multiprocessing.parent_process() is None:
        LOG.warning(
            "compiled code cannot be kept in %s, so every start compiles it again; "
            "the environment variable NUMBA_CACHE_DIR may name another folder",
            " or ".join(reasons),
        )
    _warned()


# ---- what code is made of -----------------------------------------------------------------------------------------


def stamp(files: Iterable[Path], more: str = "") -> str:
    """One name for the contents of these files and of all files of the program that they import, and for a text."""
    found = sorted(set().union(*(sources(file) for file in files)))
    contents = (bytes(_relative(file)) + _digest(file) for file in found)
    return hashlib.sha256(b"".join(contents) + more.encode()).hexdigest()[:16]


def _relative(file: Path) -> Path:
    """So that what was compiled stays good in a program folder that was moved or copied."""
    return file.relative_to(ROOT) if file.is_relative_to(ROOT) else file


@functools.cache
def sources(file: Path) -> frozenset[Path]:
    """The file and all files of the program that it imports, wherever the import stands, and that these import."""
    found: set[Path] = set()
    new = {file}
    while new:
        found |= new
        new = {imported for one in new for imported in _imports(one)} - found
    return frozenset(found)


@functools.cache
def _content(file: Path) -> bytes:
    """As it is when the process first asks; b"" for one that cannot be read."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


@functools.cache
def _digest(file: Path) -> bytes:
    return hashlib.sha256(_content(file)).digest()


@functools.cache
def _imports(file: Path) -> frozenset[Path]:
    """The files of the program, or beside a file from elsewhere, that its import statements name."""
    try:
        tree = ast.parse(_content(file))
    except (SyntaxError, ValueError):  # compiled code from elsewhere
        return frozenset()
    roots = [ROOT]
    if not file.is_relative_to(ROOT) and file.parent.name not in INSTALLED:
        roots.append(file.parent)
    found: set[Path] = set()
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.update(*(_modules(root, alias.name.split(".")) for root in roots))
        elif isinstance(node, ast.ImportFrom):
            base = node.module.split(".") if node.module else []
            starts = [file.parents[node.level - 1]] if node.level else roots
            for alias in node.names:
                found.update(*(_modules(start, [*base, alias.name]) for start in starts))
    return frozenset(found - {file})


def _statements(node: Any) -> Iterator[ast.AST]:
    """All statements in a node, nested ones too. (`ast.walk` goes through all expressions, which hold no import.)"""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        for part in getattr(node, field, ()):
            yield part
            yield from _statements(part)


def _modules(root: Path, name: Sequence[str]) -> Iterator[Path]:
    """The files that importing root's module `name` runs; its last part may be a name in the module."""
    for i in range(len(name) + 1):
        yield from _files_of(root.joinpath(*name[:i]), i > 0)


@functools.cache
def _files_of(path: Path, may_be_a_module: bool) -> tuple[Path, ...]:
    """The package's file and the module's, where they are there."""
    candidates = [path / "__init__.py", path.with_suffix(".py")] if may_be_a_module else [path / "__init__.py"]
    return tuple(candidate.resolve() for candidate in candidates if candidate.is_file())


def _files_of_types(found: Any) -> Iterator[Path]:
    """The files that define the types of a signature, and the named tuples in it."""
    if isinstance(found, types.Type):
        modules = {type(found).__module__}
        if isinstance(found, types.BaseNamedTuple):
            modules.add(found.instance_class.__module__)  # type: ignore[attr-defined]
        for module in modules:
            file = getattr(sys.modules.get(module), "__file__", None)
            if file and module.partition(".")[0] not in NOT_OURS:
                yield Path(file).resolve()
    if isinstance(found, (types.BaseTuple, tuple)):
        for part in found:  # type: ignore[union-attr]
            yield from _files_of_types(part)
    elif isinstance(found, types.Type) and isinstance(getattr(found, "dtype", None), types.Type):
        yield from _files_of_types(found.dtype)  # type: ignore[attr-defined]
