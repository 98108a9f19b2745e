"""TensorRT-RTX builds the half-precision models: products in half or INT8, attention in one kernel."""

import pytest

from quantlab.precision import to_half
from quantlab.targets.tensorrt import TensorRT
from tests.patterns import PATTERNS
from tests.rtx import BuiltEngine, build_engines, requires_rtx
from tests.targets.quantize import quantized

pytestmark = [pytest.mark.tensorrt, requires_rtx]

NAMES = ("attention_scaled_scores_masked", "conv_silu", "layernorm_mlp_gelu", "residual_identity", "resize_concat")
WHOLE = TensorRT(weight_scales="per-tensor")
PLANS = {name: TensorRT().place(PATTERNS[name]()) for name in NAMES}


@pytest.fixture(scope="module")
def engines() -> dict[str, BuiltEngine]:
    models = {f"{name}.fp16": to_half(PATTERNS[name]()) for name in NAMES}
    int8 = {f"{name}.int8": to_half(quantized(PATTERNS[name](), PLANS[name])) for name in NAMES}
    residual = PATTERNS["residual_identity"]()
    whole = to_half(quantized(residual, WHOLE.place(residual)))
    return build_engines({**models, **int8, "whole": whole})


@pytest.mark.parametrize("name", NAMES)
def test_every_planned_product_still_becomes_an_integer_layer(name: str, engines: dict[str, BuiltEngine]):
    assert not engines[f"{name}.int8"].float_nodes_of(PLANS[name]), f"\n{engines[f'{name}.int8']}"


@pytest.mark.parametrize("name", NAMES)
def test_without_pairs_every_product_reads_halves(name: str, engines: dict[str, BuiltEngine]):
    engine = engines[f"{name}.fp16"]
    for node in PLANS[name].integer_nodes:
        layers = engine.layers_of(node)
        assert layers
        assert all("Float" not in layer.inputs for layer in layers), f"\n{engine}"


def test_attention_is_one_kernel_in_halves_too(engines: dict[str, BuiltEngine]):
    engine = engines["attention_scaled_scores_masked.fp16"]
    assert engine.layers_of("scores") == engine.layers_of("context")
    assert len(engine.layers_of("scores")) == 1


def test_with_one_scale_per_weight_a_convolution_takes_in_activation_and_skip_and_writes_halves(
    engines: dict[str, BuiltEngine],
):
    (whole,) = engines["whole"].layers_of("conv2")
    assert whole.multiplies_int8
    assert {"conv2", "add1", "relu2"} <= set(whole.nodes)
    assert whole.outputs == ("Half",)
    apart, requantization = engines["residual_identity.int8"].layers_of("conv2")
    assert apart.outputs == ("Float",)
    assert {"add1", "relu2"} <= set(requantization.nodes)
