"""Pictures of flipped samples as a page holds them."""

import base64
import io

import numpy as np
from PIL import Image

import quantlab
from quantlab.data.preprocess import Preprocess
from quantlab.report.flips import data_uri
from tests.models import noise
from tests.runs import UNTIMED, classifier, images, labels


def opened(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


def test_a_small_picture_is_undone_to_the_very_pixels_by_its_preprocessing():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    how = Preprocess(mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4), channels="BGR")
    fed = (pixels[:, :, ::-1] / 255 - np.array((0.5, 0.4, 0.3))) / np.array((0.2, 0.3, 0.4))
    np.testing.assert_array_equal(opened(data_uri(fed.astype(np.float32), how)), pixels)


def test_without_preprocessing_the_extremes_become_black_and_white():
    seen = opened(data_uri(noise(8, 8, 1), None))
    assert (seen.min(), seen.max(), seen.ndim) == (0, 255, 2)
    assert opened(data_uri(np.ones((8, 8, 1), np.float32), None)).max() == 0


def test_a_larger_picture_stays_small():
    assert len(data_uri(noise(64, 64, 3), None)) < 10_000


def test_a_run_tells_its_flips_and_shows_them():
    crude = {"calibrator": "percentile", "calibrator_options": {"percentile": 60.0}}
    run = quantlab.ptq(classifier(), (images(48), labels(48)), **{**UNTIMED, **crude})
    told = run.report.content["flips"]
    model = told["models"]["onnxruntime"]
    agreement = run.report.rows[1]["agreement"]
    assert model["flipped"] == agreement["total"] - agreement["agreeing"] > 0
    assert {str(each["sample"]) for each in model["samples"]} == set(told["pictures"])
