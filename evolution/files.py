"""Writing files so that a reader, or a run resumed after a crash, finds the old content or the new, never a part."""

import os
import tempfile
from pathlib import Path


def write_atomically(path: Path | str, content: bytes | str) -> None:
    """Write `content` (text as UTF-8) beside `path`, flush it to the disk, then rename it into place.

    Raises OSError where the folder cannot be written; `path` is then as it was and nothing is left beside it.
    """
    path = Path(path)
    if isinstance(content, str):
        content = content.encode()
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_UMASK)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)  # there is no call that only reads it
    os.umask(mask)
    return mask


_UMASK = _umask()
