"""Where the target `onnxruntime` places Q/DQ pairs where branches meet, and around what only moves values."""

from __future__ import annotations

from quantlab.plan import Reader
from tests.targets.onnxruntime_plans import place, why_float


def test_a_residual_sum_quantizes_both_inputs_and_its_output_behind_the_relu() -> None:
    plan = place("residual_identity")
    assert "add1" in plan.integer_nodes
    assert plan.by_tensor["c2"].readers == (Reader("add1", 0),)
    assert plan.by_tensor["a0"].readers == (Reader("conv1", 0), Reader("add1", 1))
    assert plan.by_tensor["a2"].limits == (0.0, None)
    assert "s1" not in plan.by_tensor


def test_a_projection_shortcut_has_an_encoding_of_its_own() -> None:
    plan = place("residual_projection")
    assert plan.by_tensor["p"].readers == (Reader("add", 1),)
    assert not plan.groups


def test_a_sum_that_no_integer_node_reads_stays_float() -> None:
    assert "nothing that reads it runs in integers" in why_float(place("residual_projection"), "add")
    assert "what it reads is float" in why_float(place("layernorm_mlp_gelu"), "add")


def test_each_input_of_a_concatenation_keeps_its_own_encoding() -> None:
    plan = place("concat")
    assert "concat" in plan.integer_nodes
    assert not plan.groups
    assert plan.by_tensor["a"].limits == (0.0, None)
    assert plan.by_tensor["r"].limits == (None, None)


def test_a_max_pool_passes_its_encoding_and_its_limits_through() -> None:
    plan = place("maxpool")
    assert plan.groups == {"a1": ("a1", "p")}
    assert plan.by_tensor["p"].limits == (0.0, None)


def test_a_chain_of_moves_shares_the_encoding_of_its_beginning() -> None:
    assert place("moves").groups == {"c": ("c", "g", "t", "m", "h1", "h2"), "j": ("j", "u", "s", "k")}


def test_a_nearest_resize_in_a_feature_pyramid_shares_and_the_sum_has_its_own() -> None:
    plan = place("resize_feature_pyramid")
    assert plan.groups == {"t": ("t", "u")}
    assert {"resize", "sum"} <= set(plan.integer_nodes)


def test_a_move_between_float_nodes_stays_float() -> None:
    assert why_float(place("split_attention"), "unfold") == "Reshape only moves values, and what it reads is float."


def test_an_average_pool_is_float_and_fenced_but_a_global_one_is_integer() -> None:
    plan = place("average_pool")
    assert "takes longer" in why_float(plan, "pool")
    assert plan.fences == ("p",)
    assert "pool" in place("global_pool_head").integer_nodes
    assert not place("global_pool_head").groups


def test_the_scale_of_a_global_average_has_a_floor() -> None:
    assert place("global_pool_head").by_tensor["p"].scale_floor == ("a", 1 / 128)


def test_a_squeeze_and_excite_gate_runs_in_integers_throughout() -> None:
    plan = place("squeeze_excite_sigmoid")
    assert {"squeeze", "reduce", "expand", "gate", "excite"} <= set(plan.integer_nodes)
    assert plan.by_tensor["g"].fixed_range == (0.0, 1.0)


def test_a_hardsigmoid_gate_is_float_but_what_it_multiplies_is_not() -> None:
    plan = place("squeeze_excite_hardsigmoid")
    assert {"squeeze", "excite"} <= set(plan.integer_nodes)
    assert {"reduce", "expand"} <= dict(plan.float_nodes).keys()
    assert plan.by_tensor["g"].fixed_range == (0.0, 1.0)


def test_split_attention_is_integer_but_for_its_tiny_branch() -> None:
    plan = place("split_attention")
    assert {"split", "sum", "squeeze", "weigh1", "weigh2", "combine"} <= set(plan.integer_nodes)
    assert {"reduce", "expand", "softmax"} <= dict(plan.float_nodes).keys()


def test_the_decoding_of_a_detection_head_stays_float() -> None:
    plan = place("detection_head")
    assert {"join", "sigmoid", "scale", "detections"} <= dict(plan.float_nodes).keys()
    assert {"conv3", "predict3", "conv4"} <= set(plan.integer_nodes)
