"""Pack scikit-learn's digits and their split into `digits.npz`: `python -m quantlab.zoo.pack` (needs scikit-learn).

The split is stratified: each class is shuffled with the seed and dealt out by largest remainder of what is left of it,
then each part is shuffled as a whole. The result is stored rather than recomputed, so that no change of a random
generator or of scikit-learn can move a sample from one part to another.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from quantlab.data.digits import Part
from quantlab.files import replacing
from quantlab.zoo.manifest import FOLDER, write_manifest

SEED = 20
CALIBRATION_SIZE = 384
EVALUATION_SIZE = 640

IntArray = npt.NDArray[np.int64]


def stratified_split(labels: IntArray, sizes: dict[Part, int], seed: int) -> dict[Part, IntArray]:
    """Return disjoint sample numbers for every part, in a shuffled order.

    Args:
        labels: int64 [samples].
        sizes: how many samples each part gets; together at most all samples, and the rest goes to `train`.
        seed: of the generator that shuffles.
    """
    generator = np.random.default_rng(seed)
    left = [generator.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    parts: dict[Part, IntArray] = {}
    for part, size in sizes.items():
        quota = _largest_remainder(np.array([len(members) for members in left]), size)
        chosen = [members[:count] for members, count in zip(left, quota, strict=True)]
        parts[part] = generator.permutation(np.concatenate(chosen))
        left = [members[count:] for members, count in zip(left, quota, strict=True)]
    parts["train"] = generator.permutation(np.concatenate(left))
    return parts


def _largest_remainder(counts: IntArray, total: int) -> IntArray:
    """Return integers proportional to `counts` that add up to `total`; the largest fractions are rounded up."""
    exact = counts * (total / counts.sum())
    quota: IntArray = np.floor(exact).astype(np.int64)
    rounded_up = np.argsort(quota - exact, kind="stable")[: total - int(quota.sum())]
    quota[rounded_up] += 1
    return quota


def pack(path: Path) -> None:
    """Write scikit-learn's digits and their split to `path`, atomically."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    labels = digits.target.astype(np.int64)
    parts = stratified_split(labels, {"calibration": CALIBRATION_SIZE, "evaluation": EVALUATION_SIZE}, SEED)
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            counts=digits.images.astype(np.uint8),
            labels=labels.astype(np.uint8),
            train=parts["train"].astype(np.int16),
            calibration=parts["calibration"].astype(np.int16),
            evaluation=parts["evaluation"].astype(np.int16),
        )


if __name__ == "__main__":
    pack(FOLDER / "digits.npz")
    write_manifest()
