import os

import numpy as np
import pytest
from PIL import Image

from quantlab.data.batch import Batches
from quantlab.data.open import open_source
from quantlab.data.preprocess import Preprocess
from quantlab.fingerprint import fingerprint
from tests.models import noise, two_convs

MODEL = two_convs()
IMAGES = noise(6, 3, 8, 8)


def of(data: object, *, samples: int = 4, batch_size: int = 2, observed: tuple[str, ...] = ("hidden",)) -> str:
    return fingerprint(MODEL, Batches(open_source(data, MODEL.inputs), batch_size, stop=samples), observed)


def changed(images: np.ndarray, sample: int) -> np.ndarray:
    other = images.copy()
    other[sample, 0, 0, 0] += 1
    return other


def test_the_same_samples_in_other_batches_have_the_same_fingerprint():
    assert of(IMAGES, batch_size=1) == of(IMAGES.copy(), batch_size=4)


@pytest.mark.parametrize("sample", range(4))
def test_one_changed_value_of_any_calibrating_sample_changes_it(sample):
    assert of(changed(IMAGES, sample)) != of(IMAGES)


def test_samples_that_do_not_calibrate_play_no_part():
    assert of(changed(IMAGES, 5)) == of(IMAGES)


def test_fewer_samples_and_other_tensors_change_it():
    assert len({of(IMAGES), of(IMAGES, samples=3), of(IMAGES, observed=("image",))}) == 3


def test_another_weight_changes_it():
    other = two_convs(channels=5)
    batches = Batches(open_source(IMAGES, MODEL.inputs))
    assert fingerprint(other, batches, ()) != fingerprint(MODEL, batches, ())


def test_an_iterable_is_known_by_its_first_batch():
    batches = [{"image": IMAGES[:3]}, {"image": IMAGES[3:]}]
    other = [{"image": changed(IMAGES, 0)[:3]}, {"image": IMAGES[3:]}]
    assert of(batches) == of(list(batches))
    assert of(batches) != of(other)


def test_a_changed_image_or_preprocessing_changes_it(tmp_path):
    for number in range(3):
        Image.fromarray(np.full((8, 8, 3), 40 * number, np.uint8)).save(tmp_path / f"{number}.png")
    before = of(str(tmp_path))
    assert of(str(tmp_path)) == before
    source = open_source(str(tmp_path), MODEL.inputs, preprocess=Preprocess.named("raw"))
    assert fingerprint(MODEL, Batches(source, stop=4), ("hidden",)) != before
    os.utime(tmp_path / "1.png", ns=(1, 1))
    assert of(str(tmp_path)) != before
