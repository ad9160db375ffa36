"""Writing files so that a reader, or a run resumed after a crash, finds the old content or the new, never a part."""

import contextlib
import errno
import os
import tempfile
from pathlib import Path

LONGEST_NAME = 255  # bytes, of a file, on usual file systems
LARGEST_FILE = 2**28  # bytes, of what is read at once: a network of millions of connections
TEMPORARY = ".unfinished."  # how the names of files begin that are being written
CHAMPIONS = Path(__file__).resolve().parent.parent / "champions"  # networks that come with the program


def network_path(name: str) -> Path:
    """The file of a network: as it is named, `~` being the home, or of one that comes with the program as
    `champions/NAME`.
    """
    path = Path(os.path.expanduser(name))
    champion = CHAMPIONS / f"{path.name.removesuffix('.json')}.json"
    return champion if path.parent == Path("champions") and not path.is_file() and champion.is_file() else path


def write_atomically(path: Path | str, content: bytes | str, previous: Path | None = None) -> None:
    """Write `content` (text as UTF-8) beside `path`, flush it to the disk, then rename it into place.

    What was at `path` before goes to `previous` where that is given. Raises OSError, with the name `path`, where it
    cannot be written; `path` is then as it was and nothing is left beside it.
    """
    path = Path(path)
    if isinstance(content, str):
        content = content.encode()
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # a device or a pipe takes it, and stays
            path.write_bytes(content)
            return
        descriptor, temporary = tempfile.mkstemp(prefix=TEMPORARY, dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o666 & ~UMASK)
            if previous is not None and path.exists():
                os.replace(path, previous)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # not those of the temporary file
        raise


def read(path: Path | str, most: int = LARGEST_FILE) -> bytes:
    """A file's content. Raises OSError, for one that is larger or has no end (/dev/zero) too."""
    with open(path, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content


def with_room(name: str, room: int) -> str:
    """A file's name, cut where it leaves too little room for an ending of so many bytes."""
    while len(os.fsencode(name)) > LONGEST_NAME - room:
        name = name[:-1]
    return name


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed process was writing in `folder`; nobody else may be writing there."""
    for file in folder.glob(f"{TEMPORARY}*"):
        file.unlink()


def _umask() -> int:
    mask = os.umask(0)  # there is no call that only reads it
    os.umask(mask)
    return mask


UMASK = _umask()
