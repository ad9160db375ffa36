"""The images, and one-dimensional signals, that networks tell apart. Each set has its file here and one line below.

A set is found as it comes (`Source.find`), checked, and then prepared: resized and, where asked, deskewed.
"""

from pathlib import Path
from typing import Any

from envs.datasets import digits, fashion_mnist, file, kmnist, mnist, mnist_1d
from envs.datasets.preparation import prepared
from envs.datasets.source import Dataset, Source, checked
from evolution.errors import InputError

__all__ = ["DATASETS", "Dataset", "Source", "for_run", "has_files", "load", "preparation_of"]

DATASETS: dict[str, Source] = {
    "digits": digits.SOURCE,
    "mnist": mnist.SOURCE,
    "fashion_mnist": fashion_mnist.SOURCE,
    "kmnist": kmnist.SOURCE,
    "mnist_1d": mnist_1d.SOURCE,
    "file": file.SOURCE,
}


def load(
    name: str, data_dir: Path | str | None = None, *, image_size: int | None = None, deskew: bool | None = None
) -> Dataset:
    """The data set of this name, prepared; I inputs are `image_size` squared pixels.

    `data_dir` is where its files lie, or are downloaded to; without it each set has its own places. What is None
    follows the set (`preparation_of`). Raises InputError for an unknown name, for files that are not the set's, for
    what is no data set, where a file is missing and cannot be had, and for a folder where the set has no files.
    """
    source = _source(name)
    if data_dir is not None and not source.has_files:
        raise InputError(f"data_dir {data_dir}: {name} has no files; leave it out")
    image_size, deskew = preparation_of(name, image_size, deskew)
    raw = source.find(None if data_dir is None else Path(data_dir).expanduser())
    if image_size is None or source.is_prepared(image_size, deskew):
        return Dataset.of(checked(name, raw))
    return prepared(name, raw, image_size, deskew)


def for_run(params: Any) -> Dataset:
    """The data set that a run's parameters name, prepared as they say; then they say what was used."""
    params.image_size, params.deskew = preparation_of(params.dataset, params.image_size, params.deskew)
    data_dir = params.data_dir if has_files(params.dataset) else None
    dataset = load(params.dataset, data_dir, image_size=params.image_size, deskew=params.deskew)
    params.data_digest = dataset.digest
    return dataset


def has_files(name: str) -> bool:
    """Whether the set is read from files, which `data_dir` may name. Raises InputError for an unknown name."""
    return _source(name).has_files


def preparation_of(name: str, image_size: int | None = None, deskew: bool | None = None) -> tuple[int | None, bool]:
    """The pixels a side that this set's images get, None for a set of signals, and whether they are deskewed.

    Raises InputError for an unknown name, and where signals are to be treated as images.
    """
    source = _source(name)
    if source.image_size is None:
        if image_size is not None or deskew:
            given = f"image_size {image_size}" if image_size is not None else "deskew"
            raise InputError(f"{given}: {name} has signals, not images; leave it out")
        return None, False
    if image_size is not None and not 1 <= image_size <= 1024:
        raise InputError(f"image_size is {image_size}; it must be from 1 to 1024")
    return image_size or source.image_size, source.deskew if deskew is None else deskew


def _source(name: str) -> Source:
    if name not in DATASETS:
        raise InputError(f"dataset {name!r:.60} is unknown; there are {', '.join(DATASETS)}")
    return DATASETS[name]
