"""Writing files: atomically where there is one, and what is no file is left what it is."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from evolution.files import write_atomically


def test_a_pipe_takes_what_is_written_and_stays(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as others:
        found = others.submit(pipe.read_bytes)
        write_atomically(pipe, "content")
        assert found.result() == b"content"
    assert pipe.is_fifo()


def test_a_full_device_is_an_error_that_names_it_and_stays():
    with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
        write_atomically("/dev/full", "content")
    assert Path("/dev/full").is_char_device()
