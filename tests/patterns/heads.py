"""How networks end: classifier, detector, several stages."""

from __future__ import annotations

from quantlab.graph.model import Model
from tests.patterns.build import build, floats, integers


def global_pool_head() -> Model:
    """The end of a classifier: global average pool, flatten, fully connected."""
    return build(
        "global_pool_head",
        """(float[N,32,8,8] x) => (float[N,10] y) {
            [conv] c = Conv<pads=[1,1,1,1]>(x, w1, b1)
            [relu] a = Relu(c)
            [pool] p = GlobalAveragePool(a)
            [flatten] f = Flatten(p)
            [hidden] h = Gemm<transB=1>(f, w2, b2)
            [relu2] r = Relu(h)
            [classifier] y = Gemm<transB=1>(r, w3, b3)
        }""",
        w1=(32, 32, 3, 3),
        b1=(32,),
        w2=(64, 32),
        b2=(64,),
        w3=(10, 64),
        b3=(10,),
    )


def multi_output() -> Model:
    """A backbone whose two stages are both graph outputs."""
    return build(
        "multi_output",
        """(float[N,32,16,16] x) => (float[N,32,16,16] stage1, float[N,32,8,8] stage2) {
            [conv1] c1 = Conv<pads=[1,1,1,1]>(x, w1, b1)
            [relu1] stage1 = Relu(c1)
            [conv2] c2 = Conv<pads=[1,1,1,1],strides=[2,2]>(stage1, w2, b2)
            [relu2] stage2 = Relu(c2)
        }""",
        w1=(32, 32, 3, 3),
        b1=(32,),
        w2=(32, 32, 3, 3),
        b2=(32,),
    )


def detection_head() -> Model:
    """Two scales of a one-stage detector: convolutions, reshapes, concatenation, sigmoid, box decoding."""
    return build(
        "detection_head",
        """(float[N,64,8,8] p3, float[N,64,4,4] p4) => (float[N,80,24] y) {
            [conv3] c3 = Conv<pads=[1,1,1,1]>(p3, w3, b3)
            [relu3] a3 = Relu(c3)
            [predict3] d3 = Conv(a3, v3, e3)
            [flat3] f3 = Reshape(d3, flat)
            [conv4] c4 = Conv<pads=[1,1,1,1]>(p4, w4, b4)
            [relu4] a4 = Relu(c4)
            [predict4] d4 = Conv(a4, v4, e4)
            [flat4] f4 = Reshape(d4, flat)
            [join] j = Concat<axis=2>(f3, f4)
            [transpose] t = Transpose<perm=[0,2,1]>(j)
            [sigmoid] s = Sigmoid(t)
            [split] boxes, scores = Split<axis=2>(s, parts)
            [scale] decoded = Mul(boxes, strides)
            [detections] y = Concat<axis=2>(decoded, scores)
        }""",
        w3=(64, 64, 3, 3),
        b3=(64,),
        v3=(24, 64, 1, 1),
        e3=(24,),
        w4=(64, 64, 3, 3),
        b4=(64,),
        v4=(24, 64, 1, 1),
        e4=(24,),
        flat=integers(0, 24, -1),
        parts=integers(4, 20),
        strides=floats(*[8.0] * 64, *[16.0] * 16).reshape(1, 80, 1),
    )
