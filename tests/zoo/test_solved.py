"""The small classifier answers well, and stays the same function however far apart its channels are."""

import numpy as np
import pytest

from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.errors import ModelError
from quantlab.zoo.solved import small_digits, solved_network
from quantlab.zoo.stress import with_channels_apart


def scores(spread: float) -> np.ndarray:
    with OnnxRuntime(threads=1).open(solved_network(spread)) as session:
        return session.run({"image": small_digits("evaluation")[0]})["scores"]


def test_the_classifier_is_right_about_digits_it_was_not_made_from():
    _, labels = small_digits("evaluation")
    assert np.mean(scores(1.0).argmax(axis=1) == labels) > 0.97


def test_channels_apart_compute_the_same_function():
    # Scaled by float32 factors that are no powers of two: each product rounds anew.
    np.testing.assert_allclose(scores(1000.0), scores(1.0), atol=1e-4, rtol=0)


def test_channels_are_as_far_apart_as_asked_for():
    before, after = solved_network(), solved_network(1000.0)
    factors = np.abs(after.constant("b1") / before.constant("b1"))
    assert factors.max() / factors.min() == pytest.approx(1000, rel=1e-5)


def test_what_is_no_convolution_or_has_no_bias_is_refused_by_name():
    with pytest.raises(ModelError, match="no convolution 'head'"):
        with_channels_apart(solved_network(), "conv1", "head", 10.0)
    with pytest.raises(ModelError, match="no convolution 'gone'"):
        with_channels_apart(solved_network(), "gone", "conv2", 10.0)
