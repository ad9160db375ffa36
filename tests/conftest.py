"""How the tests run: on one thread each, without a screen, and the files that take longest first."""

import os
import sys

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # some hundred processes are started: each would compile all modules
sys.dont_write_bytecode = False
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

# Then two processes end at about the same time. The first compiles the walker, the second meanwhile the learning rules.
LONGEST = (
    "walker",
    "learning_compiled",
    "cluster",
    "learning_task",
    "surroundings",
    "gym_task",
    "misuse",
    "kill",
    "analysis",
    "study",
    "threads",
    "outside",
    "faults",
    "docs",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {f"test_{name}.py": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))
