"""What surrounds the program changes nothing: every script, in every surroundings of a table, gives the same result.

By default several rows are tried at once, which spares time; SURROUNDINGS=alone tries each by itself.
"""

import ctypes
import json
import os
import re
import resource
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from runs import events
from surrounded import SCRIPTS

ROOT = Path(__file__).parent.parent
TAGS = re.findall(r"`([\w/*]+)`", (ROOT / "docs/tags.md").read_text("utf-8"))  # that TensorBoard may show
GIGABYTE = 2**30
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1  # of Linux: what lets root write where nobody may


@dataclass(frozen=True)
class Surroundings:
    """How a process begins: variables (None: not set), options of Python, and what it does before the program."""

    variables: Mapping[str, str | None] = field(default_factory=dict)
    options: Sequence[str] = ()
    before: Callable[[], object] = lambda: None
    elsewhere: bool = False  # started in another folder than the program's, with a relative out_dir
    copied: bool = False  # the program is a copy that nobody may write to


def close(number: int) -> Callable[[], object]:
    return lambda: os.close(number)


def fill(number: int) -> Callable[[], object]:
    """The stream is a disk that is full."""
    return lambda: os.dup2(os.open("/dev/full", os.O_WRONLY), number)


def limit(what: int, value: int) -> Callable[[], object]:
    return lambda: resource.setrlimit(what, (value, value))


def obey_permissions() -> None:
    """Root, too, may from now on not write where the permissions say no."""
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


ASCII = {"LC_ALL": "C", "LANG": None, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
NOTEBOOK = {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "CLICOLOR": "1", "JPY_PARENT_PID": "1",
            "PAGER": "cat", "TERM": "xterm-color", "DISPLAY": ":99"}  # fmt: skip

TABLE = {
    "another folder": Surroundings(elsewhere=True),
    "no HOME": Surroundings({"HOME": None, "XDG_CACHE_HOME": None, "XDG_CONFIG_HOME": None}),
    "a HOME that is no folder": Surroundings({"HOME": "/dev/null/home"}),
    "a read-only program and HOME": Surroundings({"HOME": "/proc"}, before=obey_permissions, copied=True),
    "an ASCII locale": Surroundings(ASCII),
    "the C locale": Surroundings({"LC_ALL": "C", "LANG": None}),
    "optimised": Surroundings(options=("-O",)),
    "warnings are errors": Surroundings(options=("-W", "error")),
    "a careful umask": Surroundings(before=lambda: os.umask(0o077)),
    "standard output is closed": Surroundings(before=close(1)),
    "standard error is closed": Surroundings(before=close(2)),
    "standard input is closed": Surroundings(before=close(0)),
    "standard output is full": Surroundings(before=fill(1)),
    "standard error is full": Surroundings(before=fill(2)),
    "a notebook's variables": Surroundings(NOTEBOOK),
    "a picture's backend that is not there": Surroundings({"MPLBACKEND": "no_such_backend"}),
    "few open files": Surroundings(before=limit(resource.RLIMIT_NOFILE, 32)),
    "little memory": Surroundings(before=limit(resource.RLIMIT_AS, 4 * GIGABYTE)),
}
TOGETHER = [
    ("another folder", "no HOME", "an ASCII locale", "a careful umask", "few open files", "standard input is closed",
     "a picture's backend that is not there"),
    ("a HOME that is no folder", "a notebook's variables", "optimised", "warnings are errors",
     "standard output is full", "standard error is closed"),
    ("a read-only program and HOME", "the C locale", "little memory", "standard output is closed",
     "standard error is full"),
]  # fmt: skip
ALONE = os.environ.get("SURROUNDINGS") == "alone"
TRIED = [(name,) for name in TABLE] if ALONE else TOGETHER


def test_every_row_is_tried():
    assert sorted(name for names in TRIED for name in names) == sorted(TABLE)


@pytest.fixture(scope="session")
def results() -> dict[str, dict]:
    """The champion or the trained network of each script, as the first surroundings gave it."""
    return {}


@pytest.mark.parametrize("names", TRIED, ids=" + ".join)
def test_each_script_gives_the_same_result(names, results, tmp_path):
    rows = [TABLE[name] for name in names]
    program = copy_of_the_program(tmp_path / "program") if any(row.copied for row in rows) else ROOT
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "SDL_VIDEODRIVER": "dummy", "PYTHONPATH": str(program)}
    for row in rows:
        variables |= {name: value or "" for name, value in row.variables.items()}
        variables = {name: value for name, value in variables.items() if row.variables.get(name, "") is not None}
    there = tmp_path / "there"
    there.mkdir()
    reading, statuses = os.pipe()
    elsewhere = any(row.elsewhere for row in rows)

    def before() -> None:
        for row in rows:
            row.before()

    process = subprocess.Popen(
        [sys.executable, *(o for row in rows for o in row.options), ROOT / "tests/surrounded.py", program,
         "out" if elsewhere else there / "out"],
        cwd=there if elsewhere else ROOT,
        env=variables | {"STATUS": str(statuses)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=[statuses],
        preexec_fn=before,
    )  # fmt: skip
    os.close(statuses)
    shown = b"".join(process.communicate())
    with open(reading) as file:
        ended = dict(line.split() for line in file)
    logs = {script: there / "out" / script / f"{script}.log" for script in SCRIPTS}
    said_in_all = shown.decode(errors="replace") + "".join(f.read_text("utf-8") for f in logs.values() if f.exists())
    assert ended == dict.fromkeys(SCRIPTS, "0"), said_in_all
    assert "Traceback" not in said_in_all
    for script in SCRIPTS:
        assert "finished after" in logs[script].read_text("utf-8")
        tags = {tag for tag, _, _ in events(logs[script].parent)}
        assert not [tag for tag in tags if not any(fnmatchcase(tag, known) for known in TAGS)]
        [file] = logs[script].parent.glob("*_network.json")
        network = json.loads(file.read_bytes())
        del network["provenance"]  # a copy of the program does not know its commit
        assert network == results.setdefault(script, network)


def copy_of_the_program(folder: Path) -> Path:
    """With its compiled kernels, and without the right to write."""
    packages = [file.parent for file in ROOT.glob("*/__init__.py")]
    for path in [*packages, ROOT / "params"]:
        shutil.copytree(path, folder / path.name)
    for file in ROOT.glob("*.py"):
        shutil.copy(file, folder)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    return folder
