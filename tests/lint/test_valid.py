"""Sound models, of quantlab and of others, have no findings."""

import pytest

from quantlab.errors import RecipeError
from quantlab.lint import lint
from quantlab.targets import TARGETS, target_named
from tests.lint.valid import VALID
from tests.models import two_convs
from tests.patterns import PATTERNS
from tests.rtx import build_engines, requires_rtx
from tests.targets.quantize import quantized

PLACED = [
    (target, name) for target in TARGETS for name in PATTERNS if target_named(target).place(PATTERNS[name]()).points
]


@pytest.mark.parametrize(("target", "pattern"), PLACED)
def test_what_quantlab_places_is_clean(target, pattern):
    model = PATTERNS[pattern]()
    found = lint(quantized(model, target_named(target).place(model)), target)
    assert found.is_clean, str(found)


@pytest.mark.parametrize("form", VALID)
def test_a_sound_model_of_another_tool_is_clean(form):
    found = lint(VALID[form](), "tensorrt")
    assert found.is_clean, str(found)


@pytest.mark.tensorrt
@requires_rtx
def test_every_sound_model_builds_with_an_integer_product():
    engines = build_engines({name: build() for name, build in VALID.items()})
    floats = [name for name, engine in engines.items() if not any(layer.multiplies_int8 for layer in engine.layers)]
    assert floats == ["weight_alone"]


def test_a_clean_model_says_so():
    assert "nothing found that tensorrt would refuse" in str(lint(VALID["baked"](), "tensorrt"))


def test_an_unknown_target_is_refused():
    with pytest.raises(RecipeError, match="'tflite' is unknown"):
        lint(two_convs(), "tflite")
