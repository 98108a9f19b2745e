"""Files that are whole or not there: writing through a temporary name, and what reading a damaged one raises."""

from __future__ import annotations

import contextlib
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

# What numpy raises for a damaged .npy or .npz: it parses the header as Python text, from 3.12 on with the tokenizer.
DAMAGED_ARRAYS: tuple[type[Exception], ...] = (
    *(ValueError, KeyError, TypeError, IndexError, OverflowError, EOFError, MemoryError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError, SyntaxError),
)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; on success it replaces `path`, on any failure it is removed.

    An existing `path` is unchanged until the moment of the rename, which is atomic within a file system.

    Raises:
        OSError: the file cannot be written or renamed.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:  # Ctrl-C too must leave nothing behind
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
