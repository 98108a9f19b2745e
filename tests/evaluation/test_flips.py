"""Which samples got another answer, and their pictures."""

import numpy as np
import pytest

from quantlab.data.batch import Batch
from quantlab.evaluation.flips import MOST_KEPT, PICTURE_SIDE, FlipCount, picture_of
from tests.models import noise


def counted(reference, answers, labels=None, cut=3):
    count = FlipCount()
    feeds = {"image": noise(len(reference), 3, 8, 8)}
    for start in range(0, len(reference), cut):
        rows = slice(start, start + cut)
        own = None if labels is None else np.array(labels[rows])
        batch = Batch({name: array[rows] for name, array in feeds.items()}, own, 100 + start)
        count.add(batch, np.array(reference[rows]), np.array(answers[rows]))
    return count.result()


def test_flips_are_counted_by_pair_and_told_by_kind():
    flips = counted([0, 1, 2, 3, 1], [0, 2, 1, 3, 2], labels=[0, 1, 1, 3, 7])
    assert flips.total == 5
    assert flips.pairs == {(1, 2): 2, (2, 1): 1}
    assert [(flip.sample, flip.kind) for flip in flips.kept] == [(101, "lost"), (102, "gained"), (104, "changed")]


def test_without_labels_every_flip_is_a_change():
    assert {flip.kind for flip in counted([0, 1], [1, 0]).kept} == {"changed"}


def test_so_many_of_each_kind_are_kept_and_all_are_counted():
    flips = counted([0] * 40 + [1], [1] * 40 + [0], labels=[0] * 41, cut=7)
    assert sum(flips.pairs.values()) == 41
    assert [flip.kind for flip in flips.kept] == ["lost"] * MOST_KEPT + ["gained"]


def test_answers_at_positions_are_not_flips_of_samples():
    assert counted([[0, 1]], [[1, 1]]) is None


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((1, 3, 8, 8), (8, 8, 3)),
        ((1, 8, 8, 1), (8, 8, 1)),
        ((1, 3, 224, 160), (56, 40, 3)),
        ((1, 1, 65, 4), (32, 2, 1)),
        ((1, 5, 8, 8), None),
        ((1, 8), None),
        ((1, 3, 2, 2), None),
    ],
)
def test_what_is_an_image_has_a_small_picture(shape, expected):
    picture = picture_of({"ids": np.zeros((1, 4), np.int64), "x": noise(*shape)}, 0)
    assert (None if picture is None else picture.shape) == expected
    assert picture is None or max(picture.shape) <= PICTURE_SIDE


def test_a_picture_is_the_mean_over_squares():
    image = noise(2, 1, 128, 128)
    picture = picture_of({"x": image}, 1)
    assert picture is not None
    # float32 sums of four values: a few units in the last place of 1.
    np.testing.assert_allclose(picture[3, 5, 0], image[1, 0, 6:8, 10:12].mean(), atol=1e-6)
