"""Four IDX files, the form that MNIST was published in: where they may lie, what they hold, and downloading them.

IDX is described at the foot of MNIST's page (LeCun et al. 1998): two zero bytes, a type, the number of dimensions,
their sizes, and the numbers, highest byte first.
"""

import functools
import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from envs.datasets.download import Unusable, download
from envs.datasets.source import Arrays, Raw
from evolution.errors import InputError, unreadable

DATA = Path(__file__).resolve().parent.parent.parent / "data"
NAMES = (  # in the order of `Raw`
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
GZIP = b"\x1f\x8b"  # how a packed file begins


@dataclass(frozen=True)
class Files:
    """The four files of a data set, in the order of `NAMES`.

    They are looked for in the given folder, else in the one that the environment variable names, else in `data/` of the
    repository, else where a package of the system puts them. What is missing is downloaded into the first of these.
    Checksums, where they are known, are of the unpacked or of the packed bytes.
    """

    title: str
    folder: str
    torchvision: str = ""  # the name of the folder that torchvision puts them in
    variable: str = ""
    mirrors: Sequence[str] = ()
    unpacked_md5: Sequence[str] = ()
    packed_md5: Sequence[str] = ()
    installed: Path | None = None

    def find(self, data_dir: Path | None) -> Raw:
        """Raises InputError for a file that is not the set's, and where one is missing and cannot be had."""
        folder = self._folder(data_dir)
        missing = [i for i in range(len(NAMES)) if not self._candidates(folder, i)]
        while missing:
            left = [NAMES[i] for i in missing]
            download(self.title, self.mirrors, left, folder, functools.partial(self.unpacked, missing[0]))
            del missing[0]
        contents = [[(path, _read(path)) for path in self._candidates(folder, i)] for i in range(len(NAMES))]
        key = " ".join(_md5(content) for found in contents for _, content in found)
        own = (DATA / self.folder,) if self.folder else ()
        return Raw(
            lambda: Arrays(*(self._array(i, found) for i, found in enumerate(contents))),
            where=str(folder),
            folders=(contents[0][0][0].parent, *own),
            key=key,
        )

    def _candidates(self, folder: Path, i: int) -> list[Path]:
        return candidates(folder, NAMES[i], self.torchvision)

    def _folder(self, data_dir: Path | None) -> Path:
        named = os.environ.get(self.variable) if self.variable else None
        folder = data_dir or (Path(named).expanduser() if named else None)
        if folder is None:
            own = DATA / self.folder
            installed = self.installed is not None and candidates(self.installed, NAMES[0])
            folder = self.installed if installed and not candidates(own, NAMES[0], self.torchvision) else own
        assert folder is not None
        try:
            if folder.exists() and not folder.is_dir():
                raise InputError(f"{self.title}: {folder} is not a folder")
        except OSError as error:
            raise unreadable(folder, error) from None
        return folder

    def _array(self, i: int, found: Sequence[tuple[Path, bytes]]) -> npt.NDArray[Any]:
        """What the first of the candidates holds that is file i."""
        faults = []
        for path, content in found:
            try:
                return parse(self.unpacked(i, content))
            except Unusable as error:
                better = "; replace it, or remove it to download it" if self.mirrors else ""
                faults.append(f"{path} is not {self.title}'s file: {error}{better}")
        raise InputError("; ".join(faults))

    def unpacked(self, i: int, content: bytes) -> bytes:
        """The unpacked bytes of file i. Raises Unusable unless they are the set's, as far as that is known."""
        packed = content.startswith(GZIP)
        try:
            unpacked = gzip.decompress(content) if packed else content
        except (OSError, EOFError, zlib.error) as error:
            raise Unusable(f"truncated or damaged ({error})") from None
        if self.unpacked_md5 and (found := _md5(unpacked)) != self.unpacked_md5[i]:
            raise Unusable(f"the MD5 of the unpacked bytes is {found}, not {self.unpacked_md5[i]}")
        if self.packed_md5 and packed and (found := _md5(content)) != self.packed_md5[i]:
            raise Unusable(f"the MD5 of the packed bytes is {found}, not {self.packed_md5[i]}")
        return unpacked


def candidates(folder: Path, name: str, torchvision: str = "") -> list[Path]:
    """What may be this file: packed or not, with a dot as some sites name it, in a folder `raw` as torchvision does."""
    dotted = name.replace("-idx", ".idx")
    folders = [folder, folder / "raw", *([folder / torchvision / "raw"] if torchvision else [])]
    names = [f"{name}.gz", name, f"{dotted}.gz", dotted]
    try:
        return [path for each in folders for end in names if (path := each / end).exists() and not path.is_dir()]
    except OSError as error:
        raise unreadable(folder, error) from None


def parse(content: bytes) -> npt.NDArray[Any]:
    """The array that an unpacked IDX file holds. Raises Unusable."""
    import mnist

    try:
        return mnist.parse_idx(io.BytesIO(content))
    except Exception as error:  # the package's own, and those of struct and array for what breaks off
        raise Unusable(str(error).splitlines()[0] if str(error) else type(error).__name__) from None


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():  # /dev/zero has no end
            raise InputError(f"{path} is no file")
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
