"""TensorBoard's event files: what is written can be read."""

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.util import tensor_util

from experiment.events import EventLog


@pytest.mark.parametrize("values", [[1e30] * 5, [3e38, 3e38], [-1e30, -1e30], [1e300] * 3])
def test_histograms_of_equal_huge_values_are_written(values, tmp_path):
    log = EventLog(tmp_path)
    log.histogram("weights", np.array(values), 0)
    log.close()
    (event,) = [e for file in tmp_path.iterdir() for e in EventFileLoader(str(file)).Load() if e.summary.value]
    (found,) = tensor_util.make_ndarray(event.summary.value[0].tensor)[:, 2:].sum(axis=0)
    assert found == len(values)


def test_scalars_come_back_by_tag_and_step(tmp_path):
    log = EventLog(tmp_path)
    log.scalars({"best/acc": 0.25, "times/ranking": 2.0}, 7)
    log.close()
    (event,) = [e for file in tmp_path.iterdir() for e in EventFileLoader(str(file)).Load() if e.summary.value]
    found = {value.tag: float(tensor_util.make_ndarray(value.tensor)) for value in event.summary.value}
    assert (event.step, found) == (7, {"best/acc": 0.25, "times/ranking": 2.0})
