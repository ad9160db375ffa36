"""A data set of one's own: a folder with the four IDX files, or an `.npz` with the four arrays.

Of any size and number of classes. IDX files may be packed, under the names of MNIST's with a dash or a dot. An npz
holds train_images, train_labels, test_images and test_labels. Bytes are divided by 255, other numbers stay.
"""

import hashlib
from pathlib import Path

import numpy as np

from envs.datasets import idx
from envs.datasets.source import Arrays, Raw, Source
from evolution.errors import InputError, unreadable


def find(data_dir: Path | None) -> Raw:
    if data_dir is None:
        raise InputError("dataset file needs data_dir: a folder with four IDX files, or an .npz")
    if data_dir.is_dir():
        archives = sorted(data_dir.glob("*.npz"))
        archives = [path for path in archives if not path.name.startswith("prepared-")]
        if not idx.candidates(data_dir, idx.NAMES[0]) and len(archives) == 1:
            return _npz(archives[0])
        return idx.Files(title="IDX", folder="").find(data_dir)
    return _npz(data_dir)


def _npz(path: Path) -> Raw:
    try:
        if path.exists() and not path.is_file():  # /dev/zero has no end
            raise InputError(f"{path} is no file; data_dir must be a folder with four IDX files, or an .npz")
        key = hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; data_dir must be a folder with four IDX files, or an .npz") from None
    except OSError as error:
        raise unreadable(path, error) from None
    return Raw(lambda: _read(path), where=str(path), folders=(path.parent,), key=key)


def _read(path: Path) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            missing = [name for name in Arrays._fields if name not in arrays]
            if missing:
                held = ", ".join(arrays.files) or "nothing"
                raise InputError(f"{path} holds {held:.200}; it lacks {', '.join(missing)}")
            return Arrays(*(arrays[name] for name in Arrays._fields))
    except InputError:
        raise
    except Exception as error:  # what is no archive, or a damaged one, can fail in any way
        raise unreadable(path, error, " as an .npz") from None


SOURCE = Source(find)
