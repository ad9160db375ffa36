"""TensorBoard's event files, written synchronously, so that a full disk is an error here and not in a silent thread."""

import socket
import struct
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
    from tensorboardX.proto import api_pb2 as api
    from tensorboardX.proto import plugin_hparams_pb2 as plugin
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata
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

    def parameters(self, values: Mapping[str, Any], metrics: Sequence[str]) -> None:
        """Write what the HParams tab compares runs by: parameters, and the tags whose last values stand beside them.

        tensorboardX would write them into a folder of its own, and in an order that changes from process to process.
        """
        infos, session = [], plugin.SessionStartInfo()
        for name, value in values.items():
            if isinstance(value, bool):
                session.hparams[name].bool_value, kind = value, "BOOL"
            elif isinstance(value, int | float):
                session.hparams[name].number_value, kind = value, "FLOAT64"
            else:
                session.hparams[name].string_value, kind = "-" if value is None else str(value), "STRING"
            infos.append(api.HParamInfo(name=name, type=api.DataType.Value(f"DATA_TYPE_{kind}")))
        tags = [api.MetricInfo(name=api.MetricName(tag=tag)) for tag in metrics]
        self._add_hparams("experiment", experiment=api.Experiment(hparam_infos=infos, metric_infos=tags))
        self._add_hparams("session_start_info", session_start_info=session)

    def end_of_session(self) -> None:
        """Tell the HParams tab that the run has ended well."""
        end = plugin.SessionEndInfo(status=api.Status.Value("STATUS_SUCCESS"))
        self._add_hparams("session_end_info", session_end_info=end)

    def _add_hparams(self, tag: str, **what: Any) -> None:
        content = plugin.HParamsPluginData(version=0, **what).SerializeToString(deterministic=True)
        data = SummaryMetadata.PluginData(plugin_name="hparams", content=content)
        self._add(Summary(value=[Summary.Value(tag=f"_hparams_/{tag}", metadata=SummaryMetadata(plugin_data=data))]), 0)

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
