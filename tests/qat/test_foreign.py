"""Q/DQ models in the forms of other projects' quantizers: trained, baked, and what the runtime then computes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from quantlab.data.arrays import array_source
from quantlab.data.batch import Batches
from quantlab.engines.onnxruntime import OnnxRuntime
from quantlab.errors import ModelError
from quantlab.qat import finish, prepare
from quantlab.qat.parity import parity_of
from tests.lint.build import model, pair
from tests.lint.foreign import FOREIGN


@pytest.mark.parametrize("tool", FOREIGN)
def test_a_model_of_another_tool_trains_and_is_deployed_as_it_was_trained(tool: str) -> None:
    module = prepare(FOREIGN[tool][0](), learn_scales=True)
    x = torch.randn(8, 32, 16, 16, generator=torch.Generator().manual_seed(0))
    before = {name: parameter.detach().clone() for name, parameter in module.parameters_by_name.items()}
    assert module.scales
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-5)
    module(x)["y"].square().mean().backward()
    optimizer.step()
    module.keep_scales_positive()
    moved = [name for name, parameter in module.parameters_by_name.items() if not torch.equal(parameter, before[name])]
    assert set(moved) & set(module.scales)
    assert set(moved) - set(module.scales)
    samples = Batches(array_source(x.numpy().astype(np.float32), prepare(FOREIGN[tool][0]()).start.model.inputs), 8)
    with OnnxRuntime(1, optimization="none").open(finish(module)) as session:
        parity = parity_of(module, session, samples, device=torch.device("cpu"), output="y")
    assert parity.worst_steps is not None
    # The output is float: a value that lies on a tie before the head moves it by a fraction of a step.
    assert parity.worst_steps < 1


def test_a_model_of_half_precision_is_trained_in_float32() -> None:
    module = prepare(FOREIGN["modelopt"][0]())
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}
    assert "half precision became float32" in module.start.model.notes


def test_integer_operators_among_pairs_are_refused_with_what_makes_pairs_of_them() -> None:
    text = f"(float[N,8] x) => (float[N,8] y) {{ {pair('x')}"
    integer = "[add] a_q = com.microsoft.QLinearAdd(x_q, s, z, x_q, s, z, t, z)"
    mixed = model(f"{text} {integer} [dq] a = DequantizeLinear(a_q, t, z) [sum] y = Add(a, x_d) }}")
    with pytest.raises(ModelError, match=r"QLinearAdd 'add' computes in integers.*lint --target onnxruntime --fix"):
        prepare(mixed)
