"""How the tests run: on one thread each, without a screen, and those that compile longest first."""

import os

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The walker's tests come first: their kernels compile for a minute where none is kept."""
    walker = [item for item in items if item.path.name == "test_walker.py"]
    items[:] = walker + [item for item in items if item not in walker]
