"""Models in half precision are told by the types in them."""

from quantlab.graph.half import is_half
from quantlab.precision import to_half
from tests.evaluation.samples import classifier


def test_a_model_is_half_where_a_tensor_is():
    assert not is_half(classifier())
    assert is_half(to_half(classifier()))
