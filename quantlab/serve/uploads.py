"""A file that somebody sent → one sample for a model, within limits that hold before anything is unpacked.

Pictures are decoded with the run's preprocessing. Arrays come as .npy or .npz, of one sample or of several, of which
the first counts; Python objects in them are refused.
"""

from __future__ import annotations

import io
import math
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from quantlab.data.arrays import ArraySource, open_arrays
from quantlab.data.batch import Batch, InputSpec
from quantlab.data.conform import conform, fits
from quantlab.data.decode import read_foreign_image
from quantlab.data.preprocess import Preprocess
from quantlab.errors import DataError
from quantlab.files import DAMAGED_ARRAYS

MOST_BYTES = 32 * 2**20
"""The largest file that is taken."""
MOST_PIXELS = 40_000_000
"""The largest picture that is unpacked, height times width."""
_MOST_UNPACKED = 256 * 2**20
_MOST_MEMBERS = 64
_NUMPY = b"\x93NUMPY"
_ZIP = b"PK"


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that was sent.

    Attributes:
        name: what the sender calls it; never a path here.
        data: its bytes.
        is_inverted: whether a picture's light and dark are to be swapped.
    """

    name: str
    data: bytes
    is_inverted: bool = False

    @property
    def is_array(self) -> bool:
        """Whether it is a numpy file, told by its first bytes."""
        return self.data.startswith((_NUMPY, _ZIP))


def picture_sample(upload: Upload, spec: InputSpec, preprocess: Preprocess) -> Batch:
    """Return the sample in a picture.

    Args:
        upload: a picture.
        spec: the model's only input.
        preprocess: fitted to it.

    Raises:
        DataError: it is no picture, is damaged, too large, or does not fit the model.
    """
    if not upload.data:
        raise DataError(f"{upload.name}: the file is empty")
    pixels = read_foreign_image(upload.data, preprocess, name=upload.name, most_pixels=MOST_PIXELS)
    if upload.is_inverted:
        low, high = preprocess.limits
        pixels = (low + high) - pixels
    return Batch({spec.name: conform(pixels[np.newaxis], spec, where=upload.name)})


def array_sample(upload: Upload, inputs: Sequence[InputSpec]) -> Batch:
    """Return the first sample of a numpy file.

    Args:
        upload: an .npy or .npz.
        inputs: of the model.

    Raises:
        DataError: it is damaged, unpacks to too much, holds Python objects, or does not fit the model.
    """
    try:
        _check_unpacked(upload)
        single = _single(upload, inputs)
    except DAMAGED_ARRAYS as error:
        raise DataError(f"{upload.name}: it is no whole .npy or .npz file ({error}); save it again") from error
    source = single or _opened(upload, inputs)
    for batch in source.read(0, 1, 1):
        return batch
    raise DataError(f"{upload.name}: holds no samples")


def _single(upload: Upload, inputs: Sequence[InputSpec]) -> ArraySource | None:
    """Return the source of an .npy that holds one sample without the batch axis, else None."""
    spec = inputs[0]
    if upload.data.startswith(_ZIP) or len(inputs) != 1 or spec.shape is None:
        return None
    array = np.load(io.BytesIO(upload.data), allow_pickle=False)
    if not fits(array.shape, spec.shape[1:]):
        return None
    return ArraySource(upload.name, tuple(inputs), {spec.name: array[np.newaxis]})


def _opened(upload: Upload, inputs: Sequence[InputSpec]) -> ArraySource:
    suffix = ".npz" if upload.data.startswith(_ZIP) else ".npy"
    with tempfile.TemporaryDirectory(prefix="quantlab-") as folder:
        path = Path(folder) / f"upload{suffix}"
        path.write_bytes(upload.data)
        return open_arrays(path, inputs, name=upload.name)


def _check_unpacked(upload: Upload) -> None:
    """Refuse what unpacks to more than the limit; only headers are read."""
    if not upload.data.startswith(_ZIP):
        _check_array(upload.name, io.BytesIO(upload.data))
        return
    with zipfile.ZipFile(io.BytesIO(upload.data)) as archive:
        members = archive.infolist()
        unpacked = sum(member.file_size for member in members)
        if len(members) > _MOST_MEMBERS or unpacked > _MOST_UNPACKED:
            raise DataError(
                f"{upload.name}: it unpacks to {unpacked / 2**20:,.0f} MB in {len(members)} arrays; at most "
                f"{_MOST_UNPACKED >> 20} MB in {_MOST_MEMBERS} are taken, so send fewer samples"
            )
        for member in members:
            with archive.open(member) as stream:
                _check_array(upload.name, stream)  # type: ignore[arg-type] # a zip member reads as a file does


def _check_array(name: str, stream: BinaryIO) -> None:
    """Refuse an array whose header claims more than the limit: numpy makes room for it before it reads on."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    claimed = math.prod(shape) * dtype.itemsize
    if claimed > _MOST_UNPACKED:
        raise DataError(
            f"{name}: its header claims {claimed / 2**20:,.0f} MB; at most {_MOST_UNPACKED >> 20} MB are taken"
        )
