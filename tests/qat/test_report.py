from typing import Any

import numpy as np

from quantlab.affine import Encoding
from quantlab.evaluation import Evaluation
from quantlab.evaluation.agreement import Agreement, Sqnr
from quantlab.evaluation.environment import read_environment
from quantlab.evaluation.evaluation import Row
from quantlab.evaluation.size import Size
from quantlab.plan import Plan, Point
from quantlab.qat.report import loss_against_start, moved_scales
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


def right(*counts: int) -> Any:
    """Return bool [sum of counts]: so many right, so many wrong, so many right, and so on."""
    return np.repeat(np.arange(len(counts)) % 2 == 0, counts)


def evaluated(*rows: dict[str, Any]) -> Evaluation:
    """Return an evaluation of `fp32` and further rows, of which only what judges them is given."""
    names = ("fp32", "t ptq", "t qat")
    made = [Row(name, {}, Size(1, 1), **row) for name, row in zip(names, ({}, *rows), strict=True)]
    return Evaluation(tuple(made), "data", 640, "scores", read_environment(()))


def agreeing(same: Any, unit: Any = "sample") -> dict[str, Any]:
    kept = same if unit == "sample" else None
    return {"agreement": Agreement(int(same.sum()), same.size, unit, None, kept), "sqnr": Sqnr(100.0, 1.0, 10)}


def loss_of(before: dict[str, Any], after: dict[str, Any]) -> tuple[str, bool] | None:
    loss = loss_against_start(evaluated(before, after), "t ptq", "t qat")
    return None if loss is None else (loss.what, loss.is_certain)


def test_a_loss_whose_interval_covers_zero_is_told_but_not_as_certain():
    before, after = right(600, 40), right(599, 41)
    told = loss_of({"correct": before}, {"correct": after})
    assert told is not None
    assert told[0].startswith("0.16 points lost [-")
    assert told[0].endswith("] on 640 samples")
    assert not told[1]


def test_a_loss_whose_interval_excludes_zero_is_certain_and_a_gain_is_none():
    good, bad = {"correct": right(600, 40)}, {"correct": right(540, 100)}
    told = loss_of(good, bad)
    assert told is not None
    assert told[0].startswith("9.38 points lost [+")
    assert told[1]
    assert loss_of(bad, good) is None
    assert loss_of(good, good) is None


def test_without_labels_answers_equal_to_the_float_models_are_paired():
    told = loss_of(agreeing(right(600, 40)), agreeing(right(599, 41)))
    assert told is not None
    assert "0.16 points fewer of its answers are the float model's [-" in told[0]
    assert not told[1]
    told = loss_of(agreeing(right(600, 40)), agreeing(right(500, 140)))
    assert told is not None
    assert told[1]


def test_positions_are_not_independent_so_fewer_equal_ones_are_always_a_loss():
    told = loss_of(agreeing(right(600, 40), "position"), agreeing(right(599, 41), "position"))
    assert told == ("93.59% of its answers are the float model's, 93.75% before", True)


def test_noise_judges_only_where_there_are_no_answers():
    clean, noisy = {"sqnr": Sqnr(100.0, 1.0, 10)}, {"sqnr": Sqnr(100.0, 10.0, 10)}
    assert loss_of(clean, noisy) == ("SQNR 10.0 dB of the output, 20.0 dB before", True)
    assert loss_of(noisy, clean) is None
    # Training by the divergence of probabilities may move all logits alike: noise, and no other answer.
    same = agreeing(right(640))
    assert loss_of({**same, **clean}, {**same, **noisy}) is None
