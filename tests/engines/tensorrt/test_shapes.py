"""Free axes get a range from the user, from the data, or from a default that is only for batches."""

from __future__ import annotations

import numpy as np
import pytest

from quantlab.data.batch import InputSpec
from quantlab.engines.tensorrt.shapes import BATCHES, ShapeRange, parse_shapes, profile_for, worth_telling
from quantlab.errors import RecipeError

IMAGE = InputSpec("image", np.dtype(np.float32), ("N", 3, "H", 32))


def test_three_shapes_are_smallest_usual_and_largest() -> None:
    ranges = parse_shapes(["a:b:1x3,4x3,8x3", "fixed:2x5"])
    assert ranges == {"a:b": ShapeRange((1, 3), (4, 3), (8, 3)), "fixed": ShapeRange((2, 5), (2, 5), (2, 5))}
    assert [str(item) for item in ranges.values()] == ["1x3,4x3,8x3", "2x5"]


@pytest.mark.parametrize("text", ["x", "x:", ":1x3", "x:1x3,2x3", "x:1xN", "x:-1x3", "x:1x3,2x3,3x3,4x3"])
def test_a_text_of_another_form_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(RecipeError, match="such as 'x:1x3x224x224"):
        parse_shapes([text])


def test_an_input_named_twice_is_refused() -> None:
    with pytest.raises(RecipeError, match="'x' is named twice"):
        parse_shapes(["x:1", "x:2"])


@pytest.mark.parametrize(("text", "message"), [("x:2,1,3", "smallest ≤ usual"), ("x:1,1x2,3", "numbers of axes")])
def test_ranges_out_of_order_are_refused(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_shapes([text])


def test_what_the_user_says_comes_before_what_the_data_show() -> None:
    given = parse_shapes(["image:1x3x8x32,2x3x16x32,4x3x16x32"])
    assert profile_for([IMAGE], given, {"image": [(1, 3, 64, 32)]}) == given


def test_the_data_tell_free_axes_but_not_the_batch() -> None:
    seen = {"image": [(7, 3, 64, 32), (7, 3, 16, 32), (1, 3, 32, 32)]}
    smallest, usual, largest = BATCHES
    assert profile_for([IMAGE], {}, seen)["image"] == ShapeRange(
        (smallest, 3, 16, 32), (usual, 3, 32, 32), (largest, 3, 64, 32)
    )


def test_a_fixed_input_has_one_shape() -> None:
    spec = InputSpec("x", np.dtype(np.float32), (2, 4))
    assert profile_for([spec], {})["x"].is_fixed


def test_an_axis_that_nothing_tells_is_refused_by_name() -> None:
    with pytest.raises(RecipeError, match=r"image: float32\[N, 3, H, 32\].*axis 2.*--shape"):
        profile_for([IMAGE], {})


def test_an_input_of_unknown_rank_is_refused() -> None:
    with pytest.raises(RecipeError, match="does not say how many axes"):
        profile_for([InputSpec("x", np.dtype(np.float32), None)], {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("other:1x3x8x32", "no input 'other'; its inputs are image"),
        ("image:1x3x8", "has 4 axes"),
        ("image:1x4x8x32", "axis 1 .* is fixed"),
    ],
)
def test_a_range_that_does_not_fit_is_refused(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        profile_for([IMAGE], parse_shapes([text]))


SIZE = InputSpec("size", np.dtype(np.int64), (2,))
ONE = InputSpec("one", np.dtype(np.int64), (1,))
COUNT = InputSpec("count", np.dtype(np.int32), ())


def test_of_integers_of_fixed_number_the_user_tells_values() -> None:
    given = parse_shapes(["size:1x2,3x4,5x6", "one:1", "count:1,4,8"])
    found = profile_for([SIZE, ONE, COUNT], given)
    assert found["size"] == ShapeRange((1, 2), (3, 4), (5, 6), is_values=True)
    assert found["one"] == ShapeRange((1,), (1,), (1,), is_values=True)
    assert found["count"] == ShapeRange((1,), (4,), (8,), is_values=True)
    assert str(found["size"]) == "values 1x2,3x4,5x6"
    assert profile_for([SIZE, ONE, COUNT], found) == found


def test_integers_that_the_user_does_not_tell_have_their_shape() -> None:
    found = profile_for([SIZE, ONE, COUNT], {})
    assert found["one"] == ShapeRange((1,), (1,), (1,))
    assert not worth_telling(found, [SIZE, ONE, COUNT])
    assert profile_for([SIZE], parse_shapes(["size:2"]))["size"] == ShapeRange((2,), (2,), (2,))


def test_another_number_of_values_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"the model fixes the shape of size: int64\[2\]; give its 2 values"):
        profile_for([SIZE], parse_shapes(["size:1x2x3"]))


def test_integers_of_free_number_have_a_shape() -> None:
    tokens = InputSpec("tokens", np.dtype(np.int64), ("N",))
    assert profile_for([tokens], parse_shapes(["tokens:1,4,8"])) == {"tokens": ShapeRange((1,), (4,), (8,))}


def test_what_the_model_does_not_tell_itself_is_worth_telling() -> None:
    given = parse_shapes(["size:1x2,3x4,5x6", "image:1x3x8x32"])
    found = profile_for([IMAGE, SIZE, ONE], given)
    assert list(worth_telling(found, [IMAGE, SIZE, ONE])) == ["image", "size"]
