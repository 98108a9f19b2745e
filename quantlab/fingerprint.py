"""What tells one pass over calibration samples from another: a hash of the model, the samples and the tensors observed.

Statistics with the same fingerprint may be used again, or gone on with. Samples are taken by what is cheap and
certain enough:

    arrays          every value that calibrates
    image folders   path, size and time of change of every file that calibrates, and the preprocessing
    others          name, size and the first batch; what a user's own iterable changes behind it is not noticed
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from quantlab.data.arrays import ArraySource
from quantlab.data.batch import Array, Batches
from quantlab.data.image_folder import ImageFolderSource
from quantlab.graph.model import Model
from quantlab.graph.save import to_bytes


def fingerprint(model: Model, batches: Batches, observed: Sequence[str]) -> str:
    """Return 64 hexadecimal digits.

    Args:
        model: the prepared float model.
        batches: the calibration samples; their batch size plays no part.
        observed: the tensors whose statistics are collected.
    """
    digest = hashlib.sha256()
    _add_model(digest, model)
    digest.update(repr((batches.name, batches.size, batches.start, batches.stop, tuple(observed))).encode())
    source = batches.source
    if isinstance(source, ArraySource):
        for name, array in source.arrays.items():
            _add_array(digest, name, array[batches.start : batches.stop])
    elif isinstance(source, ImageFolderSource):
        digest.update(repr(source.preprocess).encode())
        for file in source.files[batches.start : batches.stop]:
            told = file.stat()
            digest.update(repr((str(file), told.st_size, told.st_mtime_ns)).encode())
    else:
        first = next(iter(batches.in_batches_of(model.inputs[0].fixed_batch or 1)))
        for name, array in first.feeds.items():
            _add_array(digest, name, array)
    return digest.hexdigest()


def _add_model(digest: hashlib._Hash, model: Model) -> None:
    """Add the graph without its weights, then the weights one by one: together they may pass protobuf's 2 GB."""
    skeleton = model.clone()
    skeleton.graph.initializers.clear()
    digest.update(to_bytes(skeleton))
    for name in sorted(model.graph.initializers):
        _add_array(digest, name, model.constant(name))


def _add_array(digest: hashlib._Hash, name: str, array: Array) -> None:
    digest.update(repr((name, str(array.dtype), array.shape)).encode())
    # As bytes: bfloat16 offers no buffer of its own.
    digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
