"""Compiled code that is kept is used again, and only while everything that it is made of stays the same."""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import TypingError

from networks import jit
from networks.jit import ROOT, cache_folders, kernel, lean, sources, stamp

PACKAGES = ("evolution", "networks", "envs", "learning")

FILES = {
    "kernels.py": "import factors\nfrom networks.jit import kernel\nfrom pairs import Pair\n\n"
    "@kernel\ndef other(x):\n    return x\n\n@kernel\ndef double(pair):\n    return factors.FACTOR * pair.x\n",
    "factors.py": "def nothing():\n    import lazily\nFACTOR = 2.0\n",
    "lazily.py": "",
    "unrelated.py": "",
    "pairs.py": "from typing import NamedTuple\n\nclass Pair(NamedTuple):\n    x: float\n",
}


class Program:
    """A folder with a kernel that has a constant of another file compiled into it."""

    def __init__(self, folder: Path, caplog) -> None:
        self.folder, self.caplog = folder, caplog
        for name, text in FILES.items():
            (folder / name).write_text(text)

    def run(self):
        """As a new process does: what the kernel returns, (hits, misses) of the cache, and what was warned of."""
        for name in FILES:
            sys.modules.pop(name.removesuffix(".py"), None)
        for known in (jit.sources, jit._imports, jit._files_of, jit._content, jit._digest, jit._warned):
            known.cache_clear()
        self.caplog.clear()
        importlib.invalidate_caches()
        module = importlib.import_module("kernels")
        value, stats = module.double(module.Pair(2.0)), module.double.stats
        counts = sum(stats.cache_hits.values()), sum(stats.cache_misses.values())
        return value, counts, [record.getMessage() for record in self.caplog.records]

    @property
    def kept(self):
        return sorted((self.folder / "__pycache__").glob("*.nbc"))

    def edit(self, name, old, new):
        file = self.folder / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))


@pytest.fixture
def program(tmp_path, monkeypatch, caplog):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(jit.numba.config, "CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "users-cache"))
    yield Program(tmp_path, caplog)
    for name in FILES:
        sys.modules.pop(name.removesuffix(".py"), None)


def test_an_edit_of_a_file_that_code_is_made_of_compiles_anew_and_leaves_nothing_old(program):
    assert program.run() == (4.0, (0, 1), [])
    assert program.run() == (4.0, (1, 0), [])
    (program.folder / "unrelated.py").write_text("x = 1\n")
    assert program.run()[1] == (1, 0)
    program.edit("factors.py", "2.0", "3.0")
    assert program.run() == (6.0, (0, 1), [])
    assert len(program.kept) == 1
    program.edit("lazily.py", "", "y = 1\n")  # imported by what the kernel's file imports, in a function
    assert program.run()[1] == (0, 1)


def test_a_file_that_is_edited_before_the_first_call_is_not_what_the_code_is_made_of(program):
    """The module is there with the old constant; what is compiled then must not pass for the new one's."""
    for name in FILES:
        sys.modules.pop(name.removesuffix(".py"), None)
    importlib.invalidate_caches()
    module = importlib.import_module("kernels")
    program.edit("factors.py", "2.0", "3.0")
    assert module.double(module.Pair(2.0)) == 4.0
    assert program.run() == (6.0, (0, 1), [])


def test_a_file_that_defines_an_arguments_type_is_one_that_code_is_made_of(program):
    program.edit("kernels.py", "from pairs import Pair\n", "")
    program.edit("kernels.py", "import factors\n", "import factors\nimport sys\n__import__('pairs')\n")
    program.edit("kernels.py", "@kernel\ndef double", "Pair = sys.modules['pairs'].Pair\n\n@kernel\ndef double")
    assert program.run()[1] == (0, 1)
    assert program.run()[1] == (1, 0)
    program.edit("pairs.py", "x: float\n", "x: float  # metres\n")
    assert program.run()[1] == (0, 1)


@pytest.mark.parametrize("content", [b"", b"\x80\x05nonsense", None])
def test_a_damaged_entry_is_a_miss_and_is_mended(program, content):
    program.run()
    (file,) = program.kept
    whole = file.read_bytes()
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 1
    file.write_bytes(bytes(changed) if content is None else content)
    assert program.run() == (4.0, (0, 1), [])
    assert program.run() == (4.0, (1, 0), [])


def test_an_entry_in_the_way_is_kept_elsewhere(program):
    program.run()
    (file,) = program.kept
    file.unlink()
    file.mkdir()
    assert program.run() == (4.0, (0, 1), [])
    assert program.run() == (4.0, (1, 0), [])
    assert len(list((program.folder / "users-cache").rglob("*.nbc"))) == 1


def test_no_folder_that_takes_it_is_one_warning(program, monkeypatch):
    blocked = [program.folder / "__pycache__", program.folder / "home"]
    for path in blocked:
        path.write_text("")  # permissions do not stop the superuser, a file in the way does
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked[1]))
    value, counts, (line,) = program.run()
    assert (value, counts) == (4.0, (0, 1))
    assert all(str(path) in line for path in blocked)
    assert "NUMBA_CACHE_DIR" in line


def test_the_users_cache_takes_what_the_programs_folder_does_not(program):
    (program.folder / "__pycache__").write_text("")
    assert program.run() == (4.0, (0, 1), [])
    assert program.run() == (4.0, (1, 0), [])


def test_a_folder_that_is_named_is_the_only_one(program, monkeypatch):
    own = program.folder / "own"
    monkeypatch.setattr(jit.numba.config, "CACHE_DIR", str(own))
    assert program.run()[1] == (0, 1)
    assert program.run()[1] == (1, 0)
    assert not program.kept
    assert len(list(own.rglob("*.nbc"))) == 1


def test_a_full_disk_leaves_no_part_and_one_warning(program, monkeypatch):
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(os, "replace", lambda *names: (_ for _ in ()).throw(full))
    program.edit("kernels.py", "FACTOR * pair.x", "FACTOR * other(pair.x)")
    value, counts, (line,) = program.run()
    assert (value, counts) == (4.0, (0, 1))
    assert line.count("No space left on device") == 2
    assert not list(program.folder.rglob("*.nbc*"))


def _identity(x):
    return x


def test_the_files_of_the_programs_kernels():
    """Read off the import statements: what a kernel is made of, and not what stands beside it."""
    of_rollout = {str(file.relative_to(ROOT)) for file in sources(ROOT / "envs" / "rollout.py")}
    assert {"envs/rollout.py", "envs/cartpole_swingup.py", "networks/compiled.py", "evolution/genome.py"} <= of_rollout
    assert "learning/compiled.py" not in of_rollout
    of_population = {str(file.relative_to(ROOT)) for file in sources(ROOT / "networks" / "population.py")}
    assert "networks/compiled.py" in of_population
    assert not {name for name in of_population if name.startswith("envs/")}


def test_a_file_that_is_named_is_part_of_every_stamp(tmp_path, monkeypatch):
    monkeypatch.setattr(jit, "_ADDED", {})
    file = tmp_path / "activation.py"
    file.write_text("")
    cache = jit.KernelCache(_identity, Path(__file__))
    before = cache._stamp(())
    jit.made_of("swish", file)
    assert cache._stamp(()) != before
    assert cache._stamp(()) == stamp([Path(__file__), file], "swish")


def test_a_kernel_of_no_file_is_not_kept():
    namespace: dict = {}
    exec(compile("def half(x):\n    return x / 2\n", "<cell>", "exec"), namespace)
    half = kernel(namespace["half"])
    assert half(3.0) == 1.5
    assert half.stats.cache_path is None


SLOW = """
import time
from numba.extending import overload
from networks.jit import kernel

def wait(x):
    pass

@overload(wait)
def compiled_wait(x):
    time.sleep(1.0)  # the compiler does, so that all processes meet
    return lambda x: x

@kernel
def inner(x):
    return wait(x)

@kernel
def outer(x):
    return inner(x)

assert outer(2.0) == 2.0
print(*(sum(one.stats.cache_misses.values()) for one in (outer, inner)))
"""


def _at_once(folder, count=3):
    """What that many processes print that want the same code at the same time, sorted."""
    (folder / "slow.py").write_text(SLOW)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(folder / "cache")}
    command = [sys.executable, str(folder / "slow.py")]
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    return sorted(process.communicate(timeout=120)[0].strip() for process in running)


def test_what_several_processes_want_at_once_is_compiled_once(tmp_path):
    assert _at_once(tmp_path) == ["0 0", "0 0", "1 1"]
    assert not list(tmp_path.rglob("*.lock"))


def _no_locks(*_, **__):
    raise OSError(38, "Function not implemented")


def test_a_lock_that_cannot_be_made_is_done_without(program, monkeypatch):
    monkeypatch.setattr(jit.filelock.BaseFileLock, "acquire", _no_locks)
    assert program.run() == (4.0, (0, 1), [])
    assert program.run() == (4.0, (1, 0), [])


def test_a_kernel_that_does_not_compile_leaves_no_lock(program):
    program.edit("kernels.py", "factors.FACTOR * pair.x", "pair.y")
    with pytest.raises(TypingError):
        program.run()
    assert not list(program.folder.rglob("*.lock"))
    assert not sys.modules["kernels"].double._cache._locks


def test_a_copied_program_keeps_its_compiled_code(tmp_path):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    code = "from pathlib import Path; from networks.jit import *; print(stamp([ROOT / 'networks' / 'population.py']))"
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert found.stdout.strip() == stamp([ROOT / "networks" / "population.py"])


def test_folders_of_a_kernels_file(monkeypatch):
    monkeypatch.setattr(jit.numba.config, "CACHE_DIR", "")
    first, second = cache_folders(ROOT / "networks" / "compiled.py")
    assert first == ROOT / "networks" / "__pycache__"
    assert second.name.startswith("networks_")
    assert np.all([folder.is_absolute() for folder in (first, second)])


# ---- references ---------------------------------------------------------------------------------------------------


def _makes(n):
    scratch = np.zeros(n, np.int64)
    scratch[:] = 2
    return scratch.sum()


def _calls(function):
    def calls(arrays, n):
        total = 0
        for i in range(n):
            total += function(i) + arrays[i % 2][i]
        return total

    return calls


def test_a_lean_kernel_counts_no_references_and_may_call_one_that_makes_arrays():
    arrays = np.arange(4), np.arange(4) * 10
    for decorator, counts in ((lean, False), (kernel, True)):
        makes = kernel(_makes)  # compiled anew, with its first caller
        compiled = decorator(_calls(makes))
        assert compiled(arrays, 4) == 2 * (0 + 1 + 2 + 3) + 0 + 10 + 2 + 30
        (code,) = compiled.inspect_llvm().values()
        own = code.split("define ")[1]  # the first function of the module
        assert ("@NRT_incref" in own) == counts
