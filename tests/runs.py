"""Starting runs as a user does, and comparing what they leave behind."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

ROOT = Path(__file__).parent.parent
MADE_RUN = ROOT / "tests" / "made_run.py"
ENVIRONMENT = os.environ | {
    "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
    "OMP_NUM_THREADS": "1",
    "SDL_VIDEODRIVER": "dummy",
}


def start(
    script: Path, *arguments: object, variables: dict[str, str] | None = None, **options: Any
) -> subprocess.Popen:
    """A script in a session of its own, as in a terminal of its own."""
    return subprocess.Popen(
        [*options.pop("wrapper", []), sys.executable, str(script), *map(str, arguments)],
        env=ENVIRONMENT | (variables or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **{"cwd": ROOT} | options,
    )


def finish(process: subprocess.Popen, seconds: float = 60) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a script, killed with all its children if it does not end."""
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        for pid in members(process.pid):
            os.kill(pid, 9)
    return process.returncode, out, err


def run(script: Path, *arguments: object, **options: Any) -> tuple[int, str, str]:
    return finish(start(script, *arguments, **options))


def wait_until(happened: Callable[[], Any], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def log(folder: Path) -> str:
    """The log so far; the folder may have another name by now."""
    return "".join(path.read_text() for path in folder.glob("*.log"))


def members(session: int) -> list[int]:
    """The processes of a session that are alive."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, sid = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(sid) == session and state != "Z":
            found.append(int(stat.parent.name))
    return found


# ---- what a run leaves behind ---------------------------------------------------------------------------------------


def events(folder: Path) -> list[tuple[str, int, bytes]]:
    """All that TensorBoard shows but the times: tag, step and content, doubled ones too, sorted."""
    found = []
    for file in sorted((folder / "tensorboard_summary").iterdir()):
        for event in EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                if not value.tag.startswith("times/"):
                    found.append((value.tag, event.step, value.SerializeToString()))
    return sorted(found)


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Every scalar of a run by tag, the times aside."""
    events = EventAccumulator(str(folder / "tensorboard_summary"), size_guidance={"scalars": 0})
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
        if not tag.startswith("times/")
    }


def generations(folder: Path) -> list[str]:
    """The log's lines of generations or epochs, without clock and seconds."""
    lines = re.findall(r"^\S+ \S+ ((?:generation|epoch) \d+: .*)$", log(folder), re.MULTILINE)
    return [re.sub(r"; [\d.]+ s$", "", line) for line in lines]


def files(folder: Path) -> dict[str, bytes]:
    """The other files by name, but for those that hold the names and lengths of log and event files."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.parent.name != "tensorboard_summary"
        and path.suffix != ".log"
        and not path.name.startswith(("checkpoint", ".files"))
    }


def assert_same(one: Path, other: Path, but: str = "") -> None:
    """Assert that two runs left the same behind; the file `but` may differ."""
    assert {**files(one), but: b""} == {**files(other), but: b""}
    assert generations(one) == generations(other)
    assert events(one) == events(other)
    steps = [(tag, step) for tag, step, _ in events(one)]
    assert len(set(steps)) == len(steps)
