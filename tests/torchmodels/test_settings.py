import pytest

from quantlab.errors import RecipeError
from quantlab.torchmodels.settings import InputShape, TorchSettings


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("1x3x224x224", InputShape(None, (1, 3, 224, 224))),
        ("image:2x3x8x8", InputShape("image", (2, 3, 8, 8))),
        ("input_ids:1x128:int64", InputShape("input_ids", (1, 128), "int64")),
        ("7", InputShape(None, (7,))),
    ],
)
def test_an_input_shape_is_read(text, shape):
    assert InputShape.parse(text) == shape


@pytest.mark.parametrize("text", ["", "3,224,224", "1x3x-1x4", "1x0x3", "a:b", "1x3:float8", "x:1x3:"])
def test_what_is_no_input_shape_is_quoted(text):
    with pytest.raises(RecipeError, match="input shape") as caught:
        TorchSettings(input_shapes=(text,))
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"opset": 17}, "18 to 23, not 17"),
        ({"opset": 24}, "18 to 23, not 24"),
        ({"free_axes": "all"}, "known: batch, size, none"),
        ({"input_shapes": ("x:1x2", "x:1x3")}, "names one twice"),
    ],
)
def test_settings_out_of_their_limits_are_refused(settings, complaint):
    with pytest.raises(RecipeError, match=complaint):
        TorchSettings(**settings)


def test_only_what_was_given_counts_as_given():
    assert TorchSettings().given == []
    assert TorchSettings(weights="a.pth", free_axes="none").given == ["weights", "free_axes"]
