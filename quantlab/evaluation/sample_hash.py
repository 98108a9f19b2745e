"""Samples, batch by batch → a hash that tells whether two evaluations judged on the same ones, in the same order.

Inputs as the model is fed them and labels are hashed apart, input by input, so how samples are cut into batches
plays no part. Two hashes that differ may still be of the same photographs, prepared in two ways.
"""

from __future__ import annotations

import hashlib

import numpy as np

from quantlab.data.batch import Array, Batch


class SampleHash:
    """Hashes samples as they come."""

    def __init__(self) -> None:
        self._parts: dict[str, hashlib._Hash] = {}

    def add(self, batch: Batch) -> None:
        """Take one batch in."""
        for name, array in batch.feeds.items():
            self._add(f"input {name} {array.dtype}", array)
        if batch.labels is not None:
            self._add("labels", batch.labels)
        if batch.truth is not None:
            self._add("labels", batch.truth)

    def result(self) -> str:
        """Return 64 hexadecimal digits for the samples so far."""
        total = hashlib.sha256()
        for name, part in sorted(self._parts.items()):
            total.update(repr((name, part.hexdigest())).encode())
        return total.hexdigest()

    def _add(self, name: str, array: Array) -> None:
        part = self._parts.setdefault(name, hashlib.sha256())
        # As bytes: bfloat16 offers no buffer of its own.
        part.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
