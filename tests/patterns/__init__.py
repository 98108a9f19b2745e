"""Small models, one per pattern that networks are made of; golden placements and engine tests share them.

Each is what `prepare` hands to a target: batch norms folded, constants in initializers, shapes inferred, nodes named.
"""

from __future__ import annotations

from tests.patterns import convolution, gates, heads, joins, transformers
from tests.patterns.build import Pattern, build, floats, integers, ones, scalar

PATTERNS: dict[str, Pattern] = {
    function.__name__: function
    for function in (
        convolution.conv_relu,
        convolution.conv_relu6,
        convolution.conv_silu,
        convolution.conv_hardswish,
        convolution.conv_leaky_relu,
        convolution.graph_output_conv,
        convolution.first_conv,
        convolution.small_channels,
        convolution.depthwise,
        convolution.grouped_conv,
        convolution.conv_transpose,
        convolution.conv1d,
        convolution.conv3d,
        convolution.computed_weight,
        convolution.shared_weight,
        joins.residual_identity,
        joins.residual_projection,
        joins.inverted_residual,
        joins.concat,
        joins.dense_concat_chain,
        joins.maxpool,
        joins.average_pool,
        heads.global_pool_head,
        joins.resize_feature_pyramid,
        joins.resize_concat,
        gates.squeeze_excite_sigmoid,
        gates.squeeze_excite_hardsigmoid,
        gates.split_attention,
        heads.multi_output,
        heads.detection_head,
        transformers.attention,
        transformers.attention_scaled_scores_masked,
        transformers.attention_fused_qkv,
        transformers.qkv_shared_input,
        transformers.layernorm_mlp_gelu,
        transformers.matmul_bias,
        transformers.gemv,
        transformers.tiny_gemm,
        transformers.dynamic_matmul,
    )
}

__all__ = ["PATTERNS", "Pattern", "build", "floats", "integers", "ones", "scalar"]
