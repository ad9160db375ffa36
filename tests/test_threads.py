"""What is computed does not depend on how many threads the libraries have.

The other tests run with one (conftest.py), and would not see it.
"""

import os
import subprocess
import sys

from runs import ENVIRONMENT

COMPUTE = """
import hashlib
import numpy as np
import torch
from dataclasses import replace
from genomes import evolved
from envs.datasets import Dataset
from envs.classification_task import ClassificationTask
from evolution.workers import Workers
from learning import session
from learning.settings import TrainingSettings
from learning.task import LearningTask

print(torch.get_num_threads())
print(torch.randn(400_000, generator=torch.Generator().manual_seed(0)).sum().item())
# So many that libraries divide their sums among threads.
rng = np.random.default_rng(2)
labels = rng.integers(0, 10, 20_000)
images = rng.normal(size=(20_000, 64)).astype(np.float32) + labels[:, None] / 10
data = Dataset(images.astype(np.float32), labels, images[:9000].astype(np.float32), labels[:9000])
workers = Workers(1)

def show(name, *arrays):
    print(name, hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest())

plain = [evolved(k, 64, 10, 0.3, 40) for k in range(3)]
for name, keywords in (("compiled", {}), ("numpy", {"evaluator": "reference"}), ("torch", {"use_torch": True})):
    task = ClassificationTask(data, batch_size=700, workers=workers, **keywords)
    found = task.evaluate(plain, np.random.default_rng(0))
    show(name, *found.values.values(), *task.test(plain[0], np.random.default_rng(0)).values())

learning = [replace(evolved(k, 64, 10, 0.5, 40, with_weights=True), weights=None) for k in range(2)]
rng = np.random.default_rng(1)
learning = [replace(g, weights=rng.normal(0, 0.1, g.num_connections).astype(np.float32)) for g in learning]
for rule in ("backprop",):
    for evaluator in ("compiled", "reference"):
        settings = TrainingSettings(rule, num_epochs=1, batch_size=10_000)
        task = LearningTask(data, settings, num_epochs_long=1, batch_size_eval=9000,
                            evaluation_period="last_epoch", workers=workers, evaluator=evaluator)
        found = task.evaluate(learning, np.random.default_rng(0))
        show(f"{rule} {evaluator}", *found.values.values(), *(g.weights for g in found.trained))
settings = session.SessionSettings(1, TrainingSettings(num_epochs=1, batch_size=10_000), 20_000)
*_, state = session.epochs(learning[0], data, settings)
show("session", state.trained.weights, *state.measured.values())
"""


def computed(threads):
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    found = subprocess.run(
        [sys.executable, "-c", COMPUTE],
        env=ENVIRONMENT | dict.fromkeys(names, str(threads)) | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        capture_output=True,
        text=True,
    )
    given, example, *results = found.stdout.splitlines()
    assert int(given) == min(threads, os.cpu_count() or 1)
    return example, results


def test_no_result_depends_on_the_number_of_threads():
    (one, results), (other, expected) = computed(2), computed(1)
    assert results == expected
    assert one != other or (os.cpu_count() or 1) == 1  # torch's own sum does: a dependence would be seen here
