"""TensorRT-RTX builds every pattern as placed, and every planned product becomes an integer layer."""

from __future__ import annotations

import pytest

from quantlab.plan import Plan
from quantlab.targets.tensorrt import TensorRT
from tests.patterns import PATTERNS
from tests.rtx import BuiltEngine, build_engines, requires_rtx
from tests.targets.quantize import quantized

pytestmark = [pytest.mark.tensorrt, requires_rtx]


@pytest.fixture(scope="module")
def plans() -> dict[str, Plan]:
    return {name: TensorRT().place(build()) for name, build in PATTERNS.items()}


@pytest.fixture(scope="module")
def engines(plans: dict[str, Plan]) -> dict[str, BuiltEngine]:
    """Build all patterns in one process: starting the builder takes longer than a build."""
    return build_engines({name: quantized(PATTERNS[name](), plan) for name, plan in plans.items()}, timeout_s=120)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_planned_product_becomes_an_integer_layer(
    pattern: str, plans: dict[str, Plan], engines: dict[str, BuiltEngine]
) -> None:
    assert not engines[pattern].float_nodes_of(plans[pattern]), f"\n{engines[pattern]}"


@pytest.mark.parametrize("pattern", ["attention", "attention_scaled_scores_masked", "attention_fused_qkv"])
def test_a_quantized_attention_is_one_layer(pattern: str, engines: dict[str, BuiltEngine]) -> None:
    assert engines[pattern].layers_of("scores") == engines[pattern].layers_of("context")
    assert len(engines[pattern].layers_of("scores")) == 1


def test_a_max_pool_between_convolutions_moves_integers(engines: dict[str, BuiltEngine]) -> None:
    (pool,) = engines["maxpool"].layers_of("pool")
    assert (pool.inputs, pool.outputs) == (("Int8",), ("Int8",))


def test_a_dense_block_reads_what_it_concatenates_in_integers_only(engines: dict[str, BuiltEngine]) -> None:
    # Without a shared encoding the builder keeps a second, float copy of every concatenated tensor.
    assert all(layer.outputs == ("Int8",) for layer in engines["dense_concat_chain"].layers_of("concat1"))


def test_a_skip_is_read_as_integers(engines: dict[str, BuiltEngine]) -> None:
    assert all("Int8" in layer.inputs for layer in engines["residual_identity"].layers_of("add1"))


def test_depthwise_convolutions_run_in_integers_on_request() -> None:
    model = PATTERNS["depthwise"]()
    plan = TensorRT(depthwise=True).place(model)
    engine = build_engines({"depthwise": quantized(model, plan)})["depthwise"]
    assert "depthwise" in plan.integer_nodes
    assert not engine.float_nodes_of(plan), f"\n{engine}"
