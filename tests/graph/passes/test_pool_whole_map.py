from __future__ import annotations

import numpy as np
import pytest

from quantlab.graph.prepare import prepare
from tests.graph.models import ops, outputs_of, parsed, prepared

MAP = "(float[N,3,7,5] x)"


@pytest.mark.parametrize("axes", ["2, 3", "3, 2", "-1, -2", "2, -1"])
@pytest.mark.parametrize("opset", [13, 18])
def test_a_mean_over_height_and_width_becomes_a_global_average_pool(axes, opset):
    body = f"y = ReduceMean<axes = [{axes}]>(x)" if opset < 18 else "y = ReduceMean(x, a)"
    constants = "" if opset < 18 else f"<int64[2] a = {{{axes}}}>"
    after = prepared(parsed(f"g {MAP} => (float[N,3,1,1] y) {constants} {{ [pool] {body} }}", opset))
    assert ops(after) == ["GlobalAveragePool"]
    assert after.graph.node(0).name == "pool"
    assert after.notes == ("1 ReduceMean over the whole map became GlobalAveragePool: 'pool'",)


def test_a_mean_that_drops_the_axes_is_flattened_behind():
    after = prepared(
        parsed(f"g {MAP} => (float[N,3] y) {{ m = ReduceMean<axes = [2, 3], keepdims = 0>(x)  y = Neg(m) }}")
    )
    assert ops(after) == ["GlobalAveragePool", "Flatten", "Neg"]
    assert [value.name for node in after.graph for value in node.outputs] == ["m/pooled", "m", "y"]


def test_a_map_of_free_size_is_pooled_too():
    model = parsed("g (float[N,3,H,W] x) => (float[N,3,1,1] y) { y = ReduceMean<axes = [2, 3]>(x) }")
    assert ops(prepared(model)) == ["GlobalAveragePool"]


@pytest.mark.parametrize(
    "graph",
    [
        "g (float[N,3,5] x) => (float[N,1,1] y) { y = ReduceMean<axes = [-1, -2]>(x) }",
        "g (float[N,3,5] x) => (float[N,3,1] y) { y = ReduceMean<axes = [-1]>(x) }",
        "g (float[N,3,7,5] x) => (float[N,3,7,1] y) { y = ReduceMean<axes = [3]>(x) }",
        "g (float[N,3,7,5] x) => (float[N,1,1,1] y) { y = ReduceMean<axes = [1, 2, 3]>(x) }",
        "g (float[N,3,7,5] x) => (float[1,1,1,1] y) { y = ReduceMean(x) }",
        "g (int32[N,3,7,5] x) => (int32[N,3,1,1] y) { y = ReduceMean<axes = [2, 3]>(x) }",
        "g (float[N,3,7,5] x) => (float[N,3,1,1] y) { y = ReduceMax<axes = [2, 3]>(x) }",
    ],
)
def test_other_means_stay(graph):
    model = parsed(graph)
    assert ops(prepared(model)) == ops(model)


def test_axes_that_are_fed_stay():
    model = parsed("g (float[N,3,7,5] x, int64[2] a) => (float[N,3,1,1] y) { y = ReduceMean(x, a) }", 18)
    assert ops(prepare(model)) == ["ReduceMean"]


@pytest.mark.parametrize("opset", [13, 19, 22])
@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("kernel", ["7, 5", "1280, 1280", "9, 5"])
def test_a_pool_over_the_whole_map_becomes_a_global_average_pool(opset, count, kernel):
    model = parsed(
        f"""g {MAP} => (float[N,3,A,B] y) {{ [pool] y = AveragePool<
        kernel_shape = [{kernel}], strides = [{kernel}], ceil_mode = 1, count_include_pad = {count}>(x) }}""",
        opset,
        ir_version=10,
    )
    after = prepared(model)
    assert ops(after) == ["GlobalAveragePool"]
    assert after.notes[0].startswith("1 AveragePool over the whole map")


@pytest.mark.parametrize(
    ("shape", "attributes"),
    [
        ("N,3,7,5", "kernel_shape = [7, 4]"),
        ("N,3,7,5", "kernel_shape = [7, 5], pads = [1, 0, 0, 0]"),
        ("N,3,7,5", 'kernel_shape = [7, 5], auto_pad = "SAME_UPPER"'),
        ("N,3,H,W", "kernel_shape = [7, 5]"),
        ("N,3,7", "kernel_shape = [7]"),
    ],
)
def test_other_pools_stay(shape, attributes):
    rest = ",".join("ABC"[: shape.count(",") - 1])
    model = parsed(f"g (float[{shape}] x) => (float[N,3,{rest}] y) {{ y = AveragePool<{attributes}>(x) }}")
    after = prepare(model)
    assert ops(after) == ["AveragePool"]
    assert after.notes == ()


def test_the_values_of_a_pooled_map_are_its_means():
    model = parsed("g (float[1,1,2,2] x) => (float[1,1,1,1] y) { y = ReduceMean<axes = [2, 3]>(x) }")
    assert outputs_of(prepare(model), {"x": np.array([[[[1, 2], [3, 6]]]], np.float32)})["y"].item() == 3
