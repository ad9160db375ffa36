"""scikit-learn's handwritten digits: 8x8 images of values 0 to 16, here divided by 16 (Alpaydin and Kaynak 1998).

Three quarters of them are the training set. They need no download.
"""

import importlib.util
from pathlib import Path

import numpy as np

from envs.datasets.source import Arrays, Raw, Source
from evolution.errors import InputError


def arrays() -> Arrays:
    """1347 images to train and 450 to test, float32: those of `train_test_split(..., random_state=0)`.

    Read and divided without scikit-learn's code, whose import takes as long as all else at the start of a run.
    """
    found = importlib.util.find_spec("sklearn")
    if found is None or found.origin is None:
        raise InputError("dataset digits: scikit-learn, which it comes with, is not installed")
    rows = np.loadtxt(Path(found.origin).parent / "datasets/data/digits.csv.gz", delimiter=",")
    images, labels = (rows[:, :-1].reshape(-1, 8, 8) / 16).astype(np.float32), rows[:, -1].astype(np.int64)
    order = np.random.RandomState(0).permutation(len(rows))
    test, train = order[:450], order[450:]
    return Arrays(images[train], labels[train], images[test], labels[test])


def find(data_dir: Path | None) -> Raw:
    """There are no files, so no folder counts."""
    return Raw(arrays)


SOURCE = Source(find, image_size=8, as_it_comes=True, has_files=False)
