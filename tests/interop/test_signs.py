"""What cannot be negative is known from the operators before it."""

import pytest

from quantlab.interop.signs import lowest
from tests.lint.build import IMAGE, KERNEL, conv, model, scalar


@pytest.mark.parametrize(
    ("nodes", "least"),
    [
        ("[a] y = Relu(x)", 0.0),
        ("[a] y = Clip(x, minus, six)", -1.0),
        ("[a] b = Erf(x) [b] y = Add(b, one)", 0.0),
        ("[a] b = Sigmoid(x) [b] c = Tanh(x) [c] y = Mul(b, c)", float("-inf")),
        ("[a] b = Sigmoid(x) [b] c = Relu(x) [c] y = Mul(b, c)", 0.0),
        ("[a] b = Relu(x) [b] c = MaxPool<kernel_shape=[1,1]>(b) [c] d = Clip(x, minus, six) [d] y = Max(c, d)", -1.0),
        ("[a] b = Exp(x) [b] c = Transpose<perm=[0,1,3,2]>(b) [c] y = AveragePool<kernel_shape=[1,1]>(c)", 0.0),
        (conv("y", "x", "w"), float("-inf")),
        ("[a] y = Elu(x)", float("-inf")),
    ],
)
def test_the_least_value_follows_from_the_operators(nodes, least):
    made = model(f"{IMAGE} {{ {nodes} }}", w=KERNEL, minus=scalar(-1.0), one=scalar(1.0))
    assert lowest(made.graph.outputs[0]) == least


def test_what_is_fed_is_taken_as_it_was_calibrated():
    assert lowest(model(f"{IMAGE} {{ [a] y = Relu(x) }}").graph.inputs[0]) == 0.0
