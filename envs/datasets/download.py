"""Downloading a data set's file from the first mirror that has it."""

import errno
import http.client
import logging
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from evolution.errors import InputError
from evolution.files import write_atomically

LOG = logging.getLogger(__name__)
TIMEOUT = 20  # seconds without an answer after which a mirror is given up
MAX_DOWNLOAD = 2**26  # bytes, several times the largest file


class Unusable(Exception):
    """Why bytes are not those of the file that they should be."""


def download(
    title: str, mirrors: Sequence[str], missing: Sequence[str], folder: Path, check: Callable[[bytes], object]
) -> Path:
    """Fetch the first of the missing files into the folder, packed; `check` raises Unusable for bytes that are not its.

    Raises InputError, which names all that are missing, where no mirror has it.
    """
    name, faults = missing[0], []
    for mirror in mirrors:
        try:
            content = _fetch(f"{mirror}{name}.gz")
            check(content)
            break
        except (OSError, http.client.HTTPException, Unusable) as error:
            reason = error.reason if type(error) is urllib.error.URLError else error
            faults.append(f"{mirror}: {reason}")
            LOG.warning("%s: no %s.gz from %s", title, name, faults[-1])
    else:
        told = f"{name}.gz cannot be downloaded ({'; '.join(faults)})" if mirrors else f"{name} is missing"
        wanted = ", ".join(f"{each}.gz" for each in missing)
        raise InputError(f"{title}: {told}; put {wanted} into {folder}")
    path = folder / f"{name}.gz"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write(path, content)
    except OSError as error:
        raise InputError(f"{title}: {path} cannot be written ({error.strerror or error})") from None
    return path


def write(path: Path, content: bytes) -> None:
    """Write atomically, but not into a folder that nobody may write to: root could, and is not meant to."""
    if not path.parent.stat().st_mode & 0o222:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path.parent))
    write_atomically(path, content)


def _fetch(url: str) -> bytes:
    """What a mirror holds at this address. Raises OSError, HTTPException, or Unusable where it breaks off."""
    content = bytearray()
    with urllib.request.urlopen(url, timeout=TIMEOUT) as response:
        length = response.length  # None where the mirror does not say
        # disable=None: silent where the output is not a terminal
        with tqdm(total=length, desc=url.rpartition("/")[2], unit="B", unit_scale=True, disable=None) as bar:
            while block := response.read(2**16):
                content += block
                bar.update(len(block))
                if len(content) > MAX_DOWNLOAD:
                    raise Unusable(f"more than {MAX_DOWNLOAD} bytes")
    if length is not None and len(content) < length:
        raise Unusable(f"the connection broke after {len(content)} of {length} bytes")
    return bytes(content)
