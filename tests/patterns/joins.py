"""Where branches meet: residual additions, concatenations, pools and resizes."""

from __future__ import annotations

from quantlab.graph.model import Model
from tests.patterns.build import build, floats, scalar


def residual_identity() -> Model:
    """Two basic blocks of a ResNet: the skip is the block's input, read by its first convolution too."""
    return build(
        "residual_identity",
        """(float[N,32,16,16] x) => (float[N,32,16,16] y) {
            [stem] c0 = Conv<pads=[1,1,1,1]>(x, w0, b0)
            [relu0] a0 = Relu(c0)
            [conv1] c1 = Conv<pads=[1,1,1,1]>(a0, w1, b1)
            [relu1] a1 = Relu(c1)
            [conv2] c2 = Conv<pads=[1,1,1,1]>(a1, w2, b2)
            [add1] s1 = Add(c2, a0)
            [relu2] a2 = Relu(s1)
            [conv3] c3 = Conv<pads=[1,1,1,1]>(a2, w3, b3)
            [relu3] a3 = Relu(c3)
            [conv4] c4 = Conv<pads=[1,1,1,1]>(a3, w4, b4)
            [add2] s2 = Add(c4, a2)
            [relu4] y = Relu(s2)
        }""",
        w0=(32, 32, 3, 3),
        b0=(32,),
        w1=(32, 32, 3, 3),
        b1=(32,),
        w2=(32, 32, 3, 3),
        b2=(32,),
        w3=(32, 32, 3, 3),
        b3=(32,),
        w4=(32, 32, 3, 3),
        b4=(32,),
    )


def residual_projection() -> Model:
    """A down-sampling block: the skip passes a 1x1 convolution."""
    return build(
        "residual_projection",
        """(float[N,32,16,16] x) => (float[N,64,8,8] y) {
            [stem] c0 = Conv<pads=[1,1,1,1]>(x, w0, b0)
            [relu0] a0 = Relu(c0)
            [conv1] c1 = Conv<pads=[1,1,1,1],strides=[2,2]>(a0, w1, b1)
            [relu1] a1 = Relu(c1)
            [conv2] c2 = Conv<pads=[1,1,1,1]>(a1, w2, b2)
            [shortcut] p = Conv<strides=[2,2]>(a0, wp, bp)
            [add] s = Add(c2, p)
            [relu2] y = Relu(s)
        }""",
        w0=(32, 32, 3, 3),
        b0=(32,),
        w1=(64, 32, 3, 3),
        b1=(64,),
        w2=(64, 64, 3, 3),
        b2=(64,),
        wp=(64, 32, 1, 1),
        bp=(64,),
    )


def inverted_residual() -> Model:
    """A MobileNetV2 block: expand, depthwise, project without activation, add."""
    return build(
        "inverted_residual",
        """(float[N,32,16,16] x) => (float[N,32,16,16] y) {
            [stem] c0 = Conv<pads=[1,1,1,1]>(x, w0, b0)
            [expand] c1 = Conv(c0, w1, b1)
            [clip1] a1 = Clip(c1, zero, six)
            [depthwise] c2 = Conv<pads=[1,1,1,1],group=96>(a1, w2, b2)
            [clip2] a2 = Clip(c2, zero, six)
            [project] c3 = Conv(a2, w3, b3)
            [add] s = Add(c0, c3)
            [head] y = Conv(s, w4, b4)
        }""",
        w0=(32, 32, 3, 3),
        b0=(32,),
        w1=(96, 32, 1, 1),
        b1=(96,),
        w2=(96, 1, 3, 3),
        b2=(96,),
        w3=(32, 96, 1, 1),
        b3=(32,),
        w4=(32, 32, 1, 1),
        b4=(32,),
        zero=scalar(0.0),
        six=scalar(6.0),
    )


def concat() -> Model:
    """Two convolution branches, one clipped at zero and one not, concatenated for a third."""
    return build(
        "concat",
        """(float[N,32,16,16] x) => (float[N,32,16,16] y) {
            [left] l = Conv<pads=[1,1,1,1]>(x, w1, b1)
            [relu] a = Relu(l)
            [right] r = Conv(x, w2, b2)
            [concat] j = Concat<axis=1>(a, r)
            [conv] y = Conv(j, w3, b3)
        }""",
        w1=(32, 32, 3, 3),
        b1=(32,),
        w2=(32, 32, 1, 1),
        b2=(32,),
        w3=(32, 64, 1, 1),
        b3=(32,),
    )


def dense_concat_chain() -> Model:
    """A dense block: each layer reads the concatenation of all before it."""
    return build(
        "dense_concat_chain",
        """(float[N,32,16,16] x) => (float[N,32,16,16] y) {
            [conv1] c1 = Conv<pads=[1,1,1,1]>(x, w1, b1)
            [relu1] a1 = Relu(c1)
            [concat1] j1 = Concat<axis=1>(x, a1)
            [conv2] c2 = Conv<pads=[1,1,1,1]>(j1, w2, b2)
            [relu2] a2 = Relu(c2)
            [concat2] j2 = Concat<axis=1>(j1, a2)
            [conv3] y = Conv(j2, w3, b3)
        }""",
        w1=(32, 32, 3, 3),
        b1=(32,),
        w2=(32, 64, 3, 3),
        b2=(32,),
        w3=(32, 96, 1, 1),
        b3=(32,),
    )


def maxpool() -> Model:
    """Max-pool between two convolutions."""
    return build(
        "maxpool",
        """(float[N,32,16,16] x) => (float[N,32,8,8] y) {
            [conv1] c1 = Conv<pads=[1,1,1,1]>(x, w1, b1)
            [relu] a1 = Relu(c1)
            [pool] p = MaxPool<kernel_shape=[2,2],strides=[2,2]>(a1)
            [conv2] y = Conv<pads=[1,1,1,1]>(p, w2, b2)
        }""",
        w1=(32, 32, 3, 3),
        b1=(32,),
        w2=(32, 32, 3, 3),
        b2=(32,),
    )


def average_pool() -> Model:
    """Average-pool between two convolutions, as DenseNet's transitions have it."""
    return build(
        "average_pool",
        """(float[N,32,16,16] x) => (float[N,32,8,8] y) {
            [conv1] c1 = Conv<pads=[1,1,1,1]>(x, w1, b1)
            [relu] a1 = Relu(c1)
            [pool] p = AveragePool<kernel_shape=[2,2],strides=[2,2]>(a1)
            [conv2] y = Conv<pads=[1,1,1,1]>(p, w2, b2)
        }""",
        w1=(32, 32, 3, 3),
        b1=(32,),
        w2=(32, 32, 3, 3),
        b2=(32,),
    )


def resize_feature_pyramid() -> Model:
    """A feature pyramid step: lateral convolution plus the coarse map enlarged by nearest neighbour."""
    return build(
        "resize_feature_pyramid",
        """(float[N,32,16,16] fine, float[N,64,8,8] coarse) => (float[N,32,16,16] y) {
            [lateral] l = Conv(fine, w1, b1)
            [top] t = Conv(coarse, w2, b2)
            [resize] u = Resize<mode="nearest",coordinate_transformation_mode="asymmetric",nearest_mode="floor">
                (t, , scales)
            [sum] s = Add(l, u)
            [smooth] y = Conv<pads=[1,1,1,1]>(s, w3, b3)
        }""",
        w1=(32, 32, 1, 1),
        b1=(32,),
        w2=(32, 64, 1, 1),
        b2=(32,),
        w3=(32, 32, 3, 3),
        b3=(32,),
        scales=floats(1.0, 1.0, 2.0, 2.0),
    )


def resize_concat() -> Model:
    """A U-Net or YOLO neck step: nearest-neighbour enlargement, concatenated with a finer map."""
    return build(
        "resize_concat",
        """(float[N,32,16,16] fine, float[N,32,8,8] coarse) => (float[N,32,16,16] y) {
            [lateral] l = Conv(fine, w1, b1)
            [relu] a = Relu(l)
            [top] t = Conv(coarse, w2, b2)
            [resize] u = Resize<mode="nearest",coordinate_transformation_mode="asymmetric",nearest_mode="floor">
                (t, , scales)
            [concat] j = Concat<axis=1>(u, a)
            [conv] y = Conv<pads=[1,1,1,1]>(j, w3, b3)
        }""",
        w1=(32, 32, 1, 1),
        b1=(32,),
        w2=(32, 32, 1, 1),
        b2=(32,),
        w3=(32, 64, 3, 3),
        b3=(32,),
        scales=floats(1.0, 1.0, 2.0, 2.0),
    )
