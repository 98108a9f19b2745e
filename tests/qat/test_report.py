import numpy as np

from quantlab.affine import Encoding
from quantlab.plan import Plan, Point
from quantlab.qat.report import moved_scales
from quantlab.scheme import Scheme
from tests.models import ACTIVATION, WEIGHT


def encoding(scale, scheme: Scheme) -> Encoding:
    array = np.asarray(scale, np.float32)
    return Encoding(array, np.zeros(array.shape, scheme.numpy_dtype), scheme)


def test_scales_are_told_by_the_channel_that_moved_most_farthest_first():
    points = (
        Point("still", ACTIVATION, "activation", ()),
        Point("x", ACTIVATION, "activation", ()),
        Point("w", WEIGHT, "weight", ()),
    )
    still, plan = encoding(1.0, ACTIVATION), Plan("t", points)
    before = {"still": still, "x": encoding(1.0, ACTIVATION), "w": encoding([1.0, 2.0, 4.0], WEIGHT)}
    after = {"still": still, "x": encoding(1.5, ACTIVATION), "w": encoding([1.1, 2.0, 1.0], WEIGHT)}
    moved = moved_scales(plan, before, after)
    assert [(scale.tensor, scale.role) for scale in moved] == [("w", "weight"), ("x", "activation")]
    assert (moved[0].before, moved[0].after, moved[0].factor) == (4.0, 1.0, 0.25)
