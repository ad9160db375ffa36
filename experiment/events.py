"""TensorBoard's event files, written synchronously, so that a full disk is an error here and not in a silent thread."""

import socket
import struct
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt


@contextmanager
def _hidden(package: str) -> Iterator[None]:
    """Let imports fail to find a package that is not loaded yet."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]


# tensorboardX loads torch, where it finds it, only to name a type: most of the time that a script takes to start.
with _hidden("torch"):
    from tensorboardX import summary
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.summary_pb2 import Summary
    from tensorboardX.record_writer import masked_crc32c


class EventLog:
    """One event file in `folder`. Every generation is one event that holds all its scalars."""

    def __init__(self, folder: Path, name: str | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self._file = open(folder / (name or self.next_name(folder)), "wb")  # noqa: SIM115 - held until close
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))

    @staticmethod
    def next_name(folder: Path) -> str:
        """A new file's name: TensorBoard reads them in the order of their names; the time alone is not unique."""
        count = len(list(folder.glob("events*")))
        return f"events.out.tfevents.{int(time.time()):010d}.{count:04d}.{socket.gethostname()}"

    def _write(self, event: Event) -> None:
        content = event.SerializeToString()
        length = struct.pack("<Q", len(content))
        checks = [struct.pack("<I", masked_crc32c(part)) for part in (length, content)]
        self._file.write(length + checks[0] + content + checks[1])  # a TFRecord

    def _add(self, content: Summary, step: int) -> None:
        self._write(Event(wall_time=time.time(), step=step, summary=content))

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Write scalars by tag."""
        self._add(Summary(value=[Summary.Value(tag=t, simple_value=float(v)) for t, v in values.items()]), step)

    def histogram(self, tag: str, values: npt.NDArray, step: int) -> None:
        """Write the distribution of `values` (N,); nothing where there are none."""
        if len(values):
            values = values.astype(np.float64)
            self._add(summary.histogram(tag, values, bins=_bins(values)), step)

    def image(self, tag: str, image: npt.NDArray, step: int) -> None:
        """Write an image (H, W, 3), uint8."""
        self._add(summary.image(tag, image, dataformats="HWC"), step)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _bins(values: npt.NDArray[np.float64]) -> int | list[float]:
    """Thirty bins; one around values that are so large and so equal that no thirty edges lie between them."""
    try:
        np.histogram_bin_edges(values, 30)
    except ValueError:
        margin = 1e-6 * float(np.abs(values).max())
        return [float(values.min()) - margin, float(values.max()) + margin]
    return 30
