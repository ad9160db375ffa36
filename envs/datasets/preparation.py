"""Images made ready for networks: values from 0 to 1, resized, and where asked deskewed. The result is kept on disk."""

import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from envs.datasets.download import write
from envs.datasets.source import Arrays, Dataset, Raw, checked
from evolution.errors import InputError

LOG = logging.getLogger(__name__)
VERSION = "2"  # to be raised whenever `preprocess` gives other images: caches are then made anew


def prepared(name: str, raw: Raw, image_size: int, deskew: bool) -> Dataset:
    """The data set from images as they come, read from the cache where they were prepared before."""
    key = _key(raw, image_size, deskew)
    file = f"prepared-{image_size}x{image_size}{'-deskewed' if deskew else ''}.npz"
    for folder in raw.folders:
        if (found := _read_cache(folder / file, key)) is not None:
            return found
    LOG.info("%s: resizing%s the images", name, " and deskewing" if deskew else "")
    arrays = checked(name, raw)
    if arrays.train_images.ndim != 3:
        raise InputError(f"{name}: {raw.where}: images of shape {arrays.train_images.shape}; (N, H, W) are needed")
    train, test = (preprocess(images, image_size, deskew) for images in (arrays.train_images, arrays.test_images))
    dataset = Dataset.of(Arrays(train, arrays.train_labels, test, arrays.test_labels))
    _write_cache(raw.folders, file, key, dataset)
    return dataset


def preprocess(images: npt.NDArray[Any], image_size: int = 16, deskew: bool = True) -> npt.NDArray[np.float32]:
    """Images (N, H, W) as networks see them, (N, S * S) float32: bytes from 0 to 1, S x S pixels (`docs/method.md`)."""
    import cv2

    result = np.empty((len(images), image_size, image_size), np.float32)
    for image, place in zip(images, result, strict=True):
        scaled = image.astype(np.float32)  # OpenCV 5 interpolates 32-bit images exactly, 64-bit ones on a grid
        if images.dtype == np.uint8:
            scaled /= 255
        if scaled.shape != place.shape:
            scaled = cv2.resize(scaled, place.shape, interpolation=cv2.INTER_LINEAR)
        place[:] = upright(scaled) if deskew else scaled
    return result.reshape(len(images), image_size**2)


def upright(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Shear an image (S, S) about its centre until it stands upright: row y moves left by mu11/mu02 (y - S/2).

    mu are the central moments; an image without height, |mu02| < 0.01, is left as it is. The WANN paper's experiments
    (Gaier & Ha 2019) prepare MNIST like this; it is the usual deskewing of digits with OpenCV.
    """
    import cv2

    moments = cv2.moments(image)
    if abs(moments["mu02"]) < 0.01:
        return image
    skew = moments["mu11"] / moments["mu02"]
    size = len(image)
    source = np.array([[1, skew, -0.5 * size * skew], [0, 1, 0]])  # where each pixel's value is taken from
    sheared = cv2.warpAffine(image, source, (size, size), flags=cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR)
    return np.asarray(sheared, np.float32)


# ---- cache ----------------------------------------------------------------------------------------------------------


def _key(raw: Raw, image_size: int, deskew: bool) -> str:
    """All that decides the prepared images: their files, how they are prepared, and by which OpenCV."""
    import cv2

    return f"{VERSION} {raw.key} {image_size} {deskew} OpenCV {cv2.__version__}"


def _read_cache(path: Path, key: str) -> Dataset | None:
    """The prepared images; None where there are none yet, or none that fit the key, or only damaged ones."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Dataset(*(arrays[name] for name in Dataset._fields)) if arrays["key"].item() == key else None
    except FileNotFoundError:
        return None
    except Exception as error:  # a damaged archive can fail in any way; its checksums find every change
        LOG.warning("%s is damaged and made anew (%s)", path, error)
        return None


def _write_cache(folders: tuple[Path, ...], file: str, key: str, dataset: Dataset) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, key=np.array(key), **dataset._asdict())
    faults = []
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write(folder / file, buffer.getvalue())
            return
        except OSError as error:
            faults.append(f"{folder / file} cannot be written ({error.strerror or error})")
    if faults:
        LOG.warning("%s: the images are prepared anew at every start", "; ".join(faults))
