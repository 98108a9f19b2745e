"""Convolutions with what usually follows them, and the kinds of convolution that a target may treat apart."""

from __future__ import annotations

from quantlab.graph.model import Model
from tests.patterns.build import build, scalar


def conv_relu() -> Model:
    """Convolution, batch norm and ReLU, twice; `prepare` has folded the batch norms into the convolutions."""
    return build(
        "conv_relu",
        """(float[N,32,16,16] x) => (float[N,32,16,16] y) {
            [conv1] c1 = Conv<pads=[1,1,1,1]>(x, w1, b1)
            [relu1] a1 = Relu(c1)
            [conv2] c2 = Conv<pads=[1,1,1,1]>(a1, w2, b2)
            [relu2] y = Relu(c2)
        }""",
        w1=(32, 32, 3, 3),
        b1=(32,),
        w2=(32, 32, 3, 3),
        b2=(32,),
    )


def conv_relu6() -> Model:
    """ReLU6 is a Clip with constant bounds."""
    return build(
        "conv_relu6",
        """(float[N,32,16,16] x) => (float[N,32,16,16] y) {
            [conv1] c1 = Conv<pads=[1,1,1,1]>(x, w1, b1)
            [clip1] a1 = Clip(c1, zero, six)
            [conv2] c2 = Conv<pads=[1,1,1,1]>(a1, w2, b2)
            [clip2] y = Clip(c2, zero, six)
        }""",
        w1=(32, 32, 3, 3),
        b1=(32,),
        w2=(32, 32, 3, 3),
        b2=(32,),
        zero=scalar(0.0),
        six=scalar(6.0),
    )


def conv_silu() -> Model:
    """SiLU is x · sigmoid(x)."""
    return build(
        "conv_silu",
        """(float[N,32,16,16] x) => (float[N,32,16,16] y) {
            [conv1] c1 = Conv<pads=[1,1,1,1]>(x, w1, b1)
            [sigmoid1] s1 = Sigmoid(c1)
            [mul1] a1 = Mul(c1, s1)
            [conv2] c2 = Conv<pads=[1,1,1,1]>(a1, w2, b2)
            [sigmoid2] s2 = Sigmoid(c2)
            [mul2] y = Mul(c2, s2)
        }""",
        w1=(32, 32, 3, 3),
        b1=(32,),
        w2=(32, 32, 3, 3),
        b2=(32,),
    )


def conv_hardswish() -> Model:
    """HardSwish as one node."""
    return build(
        "conv_hardswish",
        """(float[N,32,16,16] x) => (float[N,32,16,16] y) {
            [conv1] c1 = Conv<pads=[1,1,1,1]>(x, w1, b1)
            [hardswish1] a1 = HardSwish(c1)
            [conv2] c2 = Conv<pads=[1,1,1,1]>(a1, w2, b2)
            [hardswish2] y = HardSwish(c2)
        }""",
        w1=(32, 32, 3, 3),
        b1=(32,),
        w2=(32, 32, 3, 3),
        b2=(32,),
    )


def conv_leaky_relu() -> Model:
    """LeakyRelu, as the first YOLO networks have it."""
    return build(
        "conv_leaky_relu",
        """(float[N,32,16,16] x) => (float[N,32,16,16] y) {
            [conv1] c1 = Conv<pads=[1,1,1,1]>(x, w1, b1)
            [leaky1] a1 = LeakyRelu<alpha=0.1>(c1)
            [conv2] y = Conv<pads=[1,1,1,1]>(a1, w2, b2)
        }""",
        w1=(32, 32, 3, 3),
        b1=(32,),
        w2=(32, 32, 3, 3),
        b2=(32,),
    )


def graph_output_conv() -> Model:
    """The last convolution is a graph output, and so is what it reads."""
    return build(
        "graph_output_conv",
        """(float[N,32,16,16] x) => (float[N,32,16,16] a, float[N,32,16,16] y) {
            [conv1] c = Conv<pads=[1,1,1,1]>(x, w1, b1)
            [relu1] a = Relu(c)
            [conv2] y = Conv<pads=[1,1,1,1]>(a, w2, b2)
        }""",
        w1=(32, 32, 3, 3),
        b1=(32,),
        w2=(32, 32, 3, 3),
        b2=(32,),
    )


def first_conv() -> Model:
    """A stem that reads an image of three channels."""
    return build(
        "first_conv",
        """(float[N,3,32,32] image) => (float[N,32,8,8] y) {
            [stem] c = Conv<pads=[3,3,3,3],strides=[2,2]>(image, w1, b1)
            [relu] a = Relu(c)
            [conv] y = Conv<pads=[1,1,1,1],strides=[2,2]>(a, w2, b2)
        }""",
        w1=(32, 3, 7, 7),
        b1=(32,),
        w2=(32, 32, 3, 3),
        b2=(32,),
    )


def small_channels() -> Model:
    """Convolutions between 8 and 12 channels, then one back to 32."""
    return build(
        "small_channels",
        """(float[N,32,16,16] x) => (float[N,32,16,16] y) {
            [narrow] c1 = Conv(x, w1, b1)
            [relu1] a1 = Relu(c1)
            [inner] c2 = Conv<pads=[1,1,1,1]>(a1, w2, b2)
            [relu2] a2 = Relu(c2)
            [widen] y = Conv(a2, w3, b3)
        }""",
        w1=(8, 32, 1, 1),
        b1=(8,),
        w2=(12, 8, 3, 3),
        b2=(12,),
        w3=(32, 12, 1, 1),
        b3=(32,),
    )


def depthwise() -> Model:
    """Depthwise, then pointwise."""
    return build(
        "depthwise",
        """(float[N,32,16,16] x) => (float[N,64,16,16] y) {
            [depthwise] c1 = Conv<pads=[1,1,1,1],group=32>(x, w1, b1)
            [relu1] a1 = Relu(c1)
            [pointwise] c2 = Conv(a1, w2, b2)
            [relu2] y = Relu(c2)
        }""",
        w1=(32, 1, 3, 3),
        b1=(32,),
        w2=(64, 32, 1, 1),
        b2=(64,),
    )


def grouped_conv() -> Model:
    """Four groups of 16 channels (a ResNeXt), then four groups of 6, which no integer kernel takes everywhere."""
    return build(
        "grouped_conv",
        """(float[N,64,16,16] x) => (float[N,24,16,16] y) {
            [even] c1 = Conv<pads=[1,1,1,1],group=4>(x, w1, b1)
            [relu1] a1 = Relu(c1)
            [odd] y = Conv<pads=[1,1,1,1],group=4>(a1, w2, b2)
        }""",
        w1=(64, 16, 3, 3),
        b1=(64,),
        w2=(24, 16, 3, 3),
        b2=(24,),
    )


def conv_transpose() -> Model:
    """A decoder step: convolution, then a transposed convolution of stride 2, then a convolution."""
    return build(
        "conv_transpose",
        """(float[N,32,8,8] x) => (float[N,32,16,16] y) {
            [conv1] c1 = Conv<pads=[1,1,1,1]>(x, w1, b1)
            [relu1] a1 = Relu(c1)
            [up] u = ConvTranspose<strides=[2,2],kernel_shape=[2,2]>(a1, w2, b2)
            [relu2] a2 = Relu(u)
            [conv2] y = Conv<pads=[1,1,1,1]>(a2, w3, b3)
        }""",
        w1=(32, 32, 3, 3),
        b1=(32,),
        w2=(32, 32, 2, 2),
        b2=(32,),
        w3=(32, 32, 3, 3),
        b3=(32,),
    )


def conv1d() -> Model:
    """Convolution over time."""
    return build(
        "conv1d",
        """(float[N,32,64] x) => (float[N,32,64] y) {
            [conv1] c1 = Conv<pads=[1,1]>(x, w1, b1)
            [relu1] a1 = Relu(c1)
            [conv2] y = Conv<pads=[1,1]>(a1, w2, b2)
        }""",
        w1=(32, 32, 3),
        b1=(32,),
        w2=(32, 32, 3),
        b2=(32,),
    )


def conv3d() -> Model:
    """Convolution over a volume."""
    return build(
        "conv3d",
        """(float[N,16,8,8,8] x) => (float[N,16,8,8,8] y) {
            [conv1] c1 = Conv<pads=[1,1,1,1,1,1]>(x, w1, b1)
            [relu1] a1 = Relu(c1)
            [conv2] y = Conv<pads=[1,1,1,1,1,1]>(a1, w2, b2)
        }""",
        w1=(16, 16, 3, 3, 3),
        b1=(16,),
        w2=(16, 16, 3, 3, 3),
        b2=(16,),
    )


def computed_weight() -> Model:
    """A convolution whose kernel another input computes."""
    return build(
        "computed_weight",
        """(float[1,32,16,16] x, float[32,32,3,3] kernel) => (float[1,32,16,16] y) {
            [tanh] w = Tanh(kernel)
            [dynamic] c = Conv<pads=[1,1,1,1]>(x, w)
            [relu] a = Relu(c)
            [conv] y = Conv<pads=[1,1,1,1]>(a, w2, b2)
        }""",
        w2=(32, 32, 3, 3),
        b2=(32,),
    )


def shared_weight() -> Model:
    """Two convolutions use one kernel, on two scales of an image."""
    return build(
        "shared_weight",
        """(float[N,32,16,16] x, float[N,32,8,8] z) => (float[N,32,16,16] y, float[N,32,8,8] v) {
            [fine] y = Conv<pads=[1,1,1,1]>(x, w, b)
            [coarse] v = Conv<pads=[1,1,1,1]>(z, w, b)
        }""",
        w=(32, 32, 3, 3),
        b=(32,),
    )
