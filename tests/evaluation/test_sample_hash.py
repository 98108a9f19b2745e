import numpy as np
import pytest

from quantlab.data.batch import Batch
from quantlab.evaluation.sample_hash import SampleHash
from tests.models import noise

IMAGES, MASKS, LABELS = noise(12, 3, 4, 4), noise(12, 5, seed=1), np.arange(12)


def hashed(*cuts: int, images=IMAGES, masks=MASKS, labels=LABELS) -> str:
    made = SampleHash()
    for start, stop in zip((0, *cuts), (*cuts, 12), strict=True):
        own = None if labels is None else labels[start:stop]
        made.add(Batch({"image": images[start:stop], "mask": masks[start:stop]}, own, start))
    return made.result()


def test_how_samples_are_cut_into_batches_plays_no_part():
    assert hashed() == hashed(1, 2, 3) == hashed(5)


@pytest.mark.parametrize(
    "changed",
    [
        {"images": IMAGES[::-1]},
        {"images": IMAGES + np.float32(1e-6)},
        {"images": IMAGES.astype(np.float64)},
        {"masks": -MASKS},
        {"labels": LABELS[::-1]},
        {"labels": None},
    ],
    ids=["order", "value", "type", "second input", "labels", "no labels"],
)
def test_other_samples_have_another_hash(changed):
    assert hashed(**changed) != hashed()
