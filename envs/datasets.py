"""The images: scikit-learn's digits, which need no download, and MNIST, whose missing files are downloaded."""

import errno
import gzip
import hashlib
import http.client
import io
import logging
import os
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from evolution.errors import InputError
from evolution.files import write_atomically

logger = logging.getLogger(__name__)


class Dataset(NamedTuple):
    """Images (N, I) float32, one row each, and labels (N,) int64 from 0 on; training and test set."""

    train_images: npt.NDArray[np.float32]
    train_labels: npt.NDArray[np.int64]
    test_images: npt.NDArray[np.float32]
    test_labels: npt.NDArray[np.int64]


def load(name: str, data_dir: Path | str | None = None) -> Dataset:
    """The data set `digits` (64 inputs) or `mnist` (256), prepared as SPEC 8 says.

    MNIST's files lie in `data_dir`, else in the folder that the environment variable MNIST_DIR names, else in
    data/mnist of the repository; missing ones are downloaded into it. Raises InputError for an unknown name, for a
    file that is not MNIST's, and where a file is missing and cannot be had.
    """
    if name == "digits":
        return _digits()
    if name == "mnist":
        return _mnist(Path(data_dir or os.environ.get("MNIST_DIR") or DEFAULT_FOLDER).expanduser())
    raise InputError(f"dataset {name!r:.60} is unknown; there are digits and mnist")


def _digits() -> Dataset:
    """8x8 images of values 0 to 16, here divided by 16; three quarters of them are the training set."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    train_images, test_images, train_labels, test_labels = train_test_split(
        (images / 16).astype(np.float32), labels.astype(np.int64), random_state=0
    )
    return Dataset(train_images, train_labels, test_images, test_labels)


# ---- MNIST ----------------------------------------------------------------------------------------------------------

DEFAULT_FOLDER = Path(__file__).resolve().parent.parent / "data" / "mnist"

# The files in the order of Dataset, each with the MD5 of its unpacked bytes.
FILES: Mapping[str, str] = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
TIMEOUT = 20  # seconds without an answer after which a mirror is given up
MAX_DOWNLOAD = 2**26  # bytes, several times the largest file

SIZE = 16  # pixels a side
CACHE = "preprocessed-16x16.npz"
PREPROCESSING = "1"  # to be raised whenever `preprocess` gives other images: caches are then made anew


def _mnist(folder: Path) -> Dataset:
    files = {name: _file(folder, name) for name in FILES}
    missing = [name for name, path in files.items() if path is None]
    while missing:
        files[missing[0]] = _download(missing, folder)
        del missing[0]
    contents = {path: _read(path) for path in files.values() if path is not None}
    key = _key(contents.values())
    dataset = _read_cache(folder / CACHE, key)
    if dataset is None:
        logger.info("mnist: resizing and deskewing the images")
        checked = zip(contents.items(), FILES.values(), strict=True)
        dataset = _prepare([_parse(path, content, md5) for (path, content), md5 in checked])
        _write_cache(folder / CACHE, key, dataset)
    return dataset


def _file(folder: Path, name: str) -> Path | None:
    """The file as the mirrors have it, packed, or unpacked; None where there is neither."""
    try:
        if folder.exists() and not folder.is_dir():
            raise InputError(f"mnist: {folder} is not a folder")
        return next((path for path in (folder / f"{name}.gz", folder / name) if path.exists()), None)
    except OSError as error:
        raise InputError(f"{folder} cannot be read ({error.strerror or error})") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error})") from None


def _parse(path: Path, content: bytes, md5: str) -> npt.NDArray[np.uint8]:
    """The array that a file holds. Raises InputError unless it is MNIST's."""
    from mnist import parse_idx

    try:
        return parse_idx(io.BytesIO(_unpack(content, md5, packed=path.suffix == ".gz")))
    except _Unusable as error:
        raise InputError(f"{path} is not MNIST's file: {error}; replace it, or remove it to download it") from None


class _Unusable(Exception):
    """Why bytes are not those of the file that they should be."""


def _unpack(content: bytes, md5: str, *, packed: bool = True) -> bytes:
    """The unpacked bytes of a file. Raises _Unusable unless they have this MD5."""
    try:
        unpacked = gzip.decompress(content) if packed else content
    except (OSError, EOFError, zlib.error) as error:
        raise _Unusable(f"truncated or damaged ({error})") from None
    found = _md5(unpacked)
    if found != md5:
        raise _Unusable(f"the MD5 of the unpacked bytes is {found}, not {md5}")
    return unpacked


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _write(path: Path, content: bytes) -> None:
    """Write atomically, but not into a folder that nobody may write to: root could, and is not meant to."""
    if not path.parent.stat().st_mode & 0o222:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path.parent))
    write_atomically(path, content)


# ---- download -------------------------------------------------------------------------------------------------------


def _download(missing: Sequence[str], folder: Path) -> Path:
    """Fetch the first of the missing files from the first mirror that has it; raises InputError where none does."""
    name = missing[0]
    faults = []
    for mirror in MIRRORS:
        try:
            content = _fetch(f"{mirror}{name}.gz")
            _unpack(content, FILES[name])
            break
        except (OSError, http.client.HTTPException, _Unusable) as error:
            reason = error.reason if type(error) is urllib.error.URLError else error
            faults.append(f"{mirror}: {reason}")
            logger.warning("mnist: no %s.gz from %s", name, faults[-1])
    else:
        raise InputError(
            f"mnist: {name}.gz cannot be downloaded ({'; '.join(faults)}); "
            f"put {', '.join(f'{each}.gz' for each in missing)} into {folder}"
        )
    path = folder / f"{name}.gz"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(path, content)
    except OSError as error:
        raise InputError(f"mnist: {path} cannot be written ({error.strerror or error})") from None
    return path


def _fetch(url: str) -> bytes:
    """What a mirror holds at this address. Raises OSError, HTTPException, or _Unusable where it breaks off."""
    content = bytearray()
    with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
        length = response.length  # None where the mirror does not say
        # disable=None: silent where the output is not a terminal
        with tqdm(total=length, desc=url.rpartition("/")[2], unit="B", unit_scale=True, disable=None) as bar:
            while block := response.read(2**16):
                content += block
                bar.update(len(block))
                if len(content) > MAX_DOWNLOAD:
                    raise _Unusable(f"more than {MAX_DOWNLOAD} bytes")
    if length is not None and len(content) < length:
        raise _Unusable(f"the connection broke after {len(content)} of {length} bytes")
    return bytes(content)


# ---- preparation ----------------------------------------------------------------------------------------------------


def _prepare(arrays: Sequence[npt.NDArray[np.uint8]]) -> Dataset:
    """The data set from the four arrays of the files, in the order of FILES."""
    train_images, train_labels, test_images, test_labels = arrays
    return Dataset(
        preprocess(train_images), train_labels.astype(np.int64), preprocess(test_images), test_labels.astype(np.int64)
    )


def preprocess(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Images (N, H, W) of values 0 to 255 as networks see them, (N, 256): 0 to 1, 16x16 pixels, deskewed (SPEC 8)."""
    import cv2

    prepared = np.empty((len(images), SIZE, SIZE), np.float32)
    for image, result in zip(images, prepared, strict=True):
        scaled = image.astype(np.float32) / 255  # OpenCV 5 interpolates 32-bit images exactly, 64-bit ones on a grid
        result[:] = deskew(cv2.resize(scaled, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR))
    return prepared.reshape(len(images), SIZE * SIZE)


def deskew(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
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
    upright = cv2.warpAffine(image, source, (size, size), flags=cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR)
    return np.asarray(upright, np.float32)


# ---- cache ----------------------------------------------------------------------------------------------------------


def _key(contents: Iterable[bytes]) -> str:
    """What decides the prepared images: the files and how they are prepared."""
    return " ".join([PREPROCESSING, *map(_md5, contents)])


def _read_cache(path: Path, key: str) -> Dataset | None:
    """The prepared images; None where there are none yet, or none that fit the files, or only damaged ones."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Dataset(*(arrays[name] for name in Dataset._fields)) if arrays["key"].item() == key else None
    except FileNotFoundError:
        return None
    except Exception as error:  # a damaged archive can fail in any way; its checksums find every change
        logger.warning("%s is damaged and made anew (%s)", path, error)
        return None


def _write_cache(path: Path, key: str, dataset: Dataset) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, key=np.array(key), **dataset._asdict())
    try:
        _write(path, buffer.getvalue())
    except OSError as error:
        reason = error.strerror or error
        logger.warning("%s cannot be written (%s): the images are prepared anew at every start", path, reason)
