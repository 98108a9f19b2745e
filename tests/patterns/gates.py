"""Branches that weigh another: squeeze-and-excite and split attention."""

from __future__ import annotations

from quantlab.graph.model import Model
from tests.patterns.build import build, integers


def squeeze_excite_sigmoid() -> Model:
    """EfficientNet's gate: global pool, two 1x1 convolutions, sigmoid, multiply."""
    return _squeeze_excite("squeeze_excite_sigmoid", "Sigmoid")


def squeeze_excite_hardsigmoid() -> Model:
    """MobileNetV3's gate: the same with HardSigmoid."""
    return _squeeze_excite("squeeze_excite_hardsigmoid", "HardSigmoid")


def _squeeze_excite(name: str, gate: str) -> Model:
    return build(
        name,
        f"""(float[N,64,8,8] x) => (float[N,64,8,8] y) {{
            [conv1] c1 = Conv<pads=[1,1,1,1]>(x, w1, b1)
            [relu1] a1 = Relu(c1)
            [squeeze] p = GlobalAveragePool(a1)
            [reduce] c2 = Conv(p, w2, b2)
            [relu2] a2 = Relu(c2)
            [expand] c3 = Conv(a2, w3, b3)
            [gate] g = {gate}(c3)
            [excite] m = Mul(g, a1)
            [conv2] y = Conv(m, w4, b4)
        }}""",
        w1=(64, 64, 3, 3),
        b1=(64,),
        w2=(16, 64, 1, 1),
        b2=(16,),
        w3=(64, 16, 1, 1),
        b3=(64,),
        w4=(64, 64, 1, 1),
        b4=(64,),
    )


def split_attention() -> Model:
    """ResNeSt's block: two halves of a grouped convolution, weighted by a softmax over the halves, summed."""
    return build(
        "split_attention",
        """(float[N,32,8,8] x) => (float[N,32,8,8] y) {
            [grouped] c1 = Conv<pads=[1,1,1,1],group=2>(x, w1, b1)
            [relu1] a1 = Relu(c1)
            [split] h1, h2 = Split<axis=1,num_outputs=2>(a1)
            [sum] s = Add(h1, h2)
            [squeeze] p = GlobalAveragePool(s)
            [reduce] c2 = Conv(p, w2, b2)
            [relu2] a2 = Relu(c2)
            [expand] c3 = Conv(a2, w3, b3)
            [halves] r = Reshape(c3, halves_shape)
            [softmax] g = Softmax<axis=1>(r)
            [unfold] f = Reshape(g, gate_shape)
            [gates] g1, g2 = Split<axis=1,num_outputs=2>(f)
            [weigh1] m1 = Mul(h1, g1)
            [weigh2] m2 = Mul(h2, g2)
            [combine] m = Add(m1, m2)
            [conv] y = Conv(m, w4, b4)
        }""",
        w1=(64, 16, 3, 3),
        b1=(64,),
        w2=(32, 32, 1, 1),
        b2=(32,),
        w3=(64, 32, 1, 1),
        b3=(64,),
        w4=(32, 32, 1, 1),
        b4=(32,),
        halves_shape=integers(0, 2, 32),
        gate_shape=integers(0, 64, 1, 1),
    )
