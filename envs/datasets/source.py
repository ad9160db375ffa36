"""What a data set is before and after it is prepared, and what makes one usable."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from evolution.errors import InputError

MAX_CLASSES = 10_000


class Arrays(NamedTuple):
    """A data set as it comes: images (N, H, W), bytes or finite floats, or signals (N, L); labels (N,) from 0 on."""

    train_images: npt.NDArray[Any]
    train_labels: npt.NDArray[Any]
    test_images: npt.NDArray[Any]
    test_labels: npt.NDArray[Any]


class Raw(NamedTuple):
    """A data set that was found: how to get its arrays, which is not needed where they were prepared before."""

    arrays: Callable[[], Arrays]  # raises InputError
    where: str = ""  # the folder or file that it was found in, for messages
    folders: tuple[Path, ...] = ()  # where prepared images may be kept, the first that can be written
    key: str = ""  # what decides its content


class Dataset(NamedTuple):
    """Images (N, I) float32, one row each, and labels (N,) int64 from 0 on; training and test set."""

    train_images: npt.NDArray[np.float32]
    train_labels: npt.NDArray[np.int64]
    test_images: npt.NDArray[np.float32]
    test_labels: npt.NDArray[np.int64]

    @classmethod
    def of(cls, arrays: Arrays) -> "Dataset":
        """From arrays whose rows are as networks see them."""
        train, test = (
            images.reshape(len(images), -1).astype(np.float32) for images in (arrays.train_images, arrays.test_images)
        )
        return cls(train, arrays.train_labels.astype(np.int64), test, arrays.test_labels.astype(np.int64))

    @property
    def digest(self) -> str:
        """A short name for its content: the beginning of the SHA-256 of shapes and numbers."""
        found = hashlib.sha256()
        for array in self:
            found.update(repr((array.shape, array.dtype.str)).encode())
            found.update(np.ascontiguousarray(array).data)
        return found.hexdigest()[:16]


@dataclass(frozen=True)
class Source:
    """A data set's entry: how it is found, and how it is prepared unless told otherwise.

    `find` takes the folder or file that `data_dir` names, or None, and raises InputError. `image_size` None is for
    signals, which stay as they are. Images that come with values from 0 to 1 at their own size say so: `as_it_comes`.
    A set that is generated or comes with a package has no files, and so no folder that could be named.
    """

    find: Callable[[Path | None], Raw]
    image_size: int | None = 16
    deskew: bool = False
    as_it_comes: bool = False
    has_files: bool = True

    def is_prepared(self, image_size: int, deskew: bool) -> bool:
        """Whether there is nothing to prepare."""
        return self.as_it_comes and image_size == self.image_size and not deskew


def checked(name: str, raw: Raw) -> Arrays:
    """The arrays. Raises InputError, one line, unless they are a data set."""
    where = f"{name}: {raw.where}: " if raw.where else f"{name}: "
    arrays = raw.arrays()
    sizes = set()
    for part in ("train", "test"):
        images, labels = getattr(arrays, f"{part}_images"), getattr(arrays, f"{part}_labels")
        if images.ndim not in (2, 3) or images.dtype.kind not in "uif" or 0 in images.shape:
            raise InputError(
                f"{where}{part}_images of shape {images.shape} ({images.dtype}) are no grey images (N, H, W)"
            )
        if images.dtype.kind == "f" and not np.isfinite(images).all():
            raise InputError(f"{where}{part}_images hold NaN or infinity")
        if labels.ndim != 1 or labels.dtype.kind not in "ui":
            raise InputError(f"{where}{part}_labels of shape {labels.shape} ({labels.dtype}) are no integers (N,)")
        if len(labels) != len(images):
            raise InputError(f"{where}{len(labels)} {part}_labels for {len(images)} {part}_images")
        sizes.add(images.shape[1:])
    if len(sizes) > 1:
        train, test = arrays.train_images.shape[1:], arrays.test_images.shape[1:]
        raise InputError(f"{where}train_images are of shape {train}, test_images of shape {test}")
    largest = int(arrays.train_labels.max())
    for part, labels in (("train", arrays.train_labels), ("test", arrays.test_labels)):
        outside = (labels < 0) | (labels > min(largest, MAX_CLASSES - 1))
        if outside.any():
            allowed = f"0..{min(largest, MAX_CLASSES - 1)}" + (", those of train_labels" if part == "test" else "")
            raise InputError(f"{where}{part}_labels hold {int(labels[outside][0])}; allowed are {allowed}")
    if (arrays.train_labels == largest).all():
        raise InputError(f"{where}train_labels hold one class only, {largest}")
    return arrays
