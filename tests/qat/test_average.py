import numpy as np
import torch

from quantlab.qat.average import Average
from quantlab.qat.module import QuantizedModule
from quantlab.qat.start import Start


def set_bias(module: QuantizedModule, value: float) -> None:
    with torch.no_grad():
        module.parameters_by_name["b2"].fill_(value)


def bias(module: QuantizedModule) -> float:
    return float(module.parameters_by_name["b2"].detach()[0])


def test_the_average_follows_its_formula_and_the_module_gets_its_own_back(start: Start):
    module = QuantizedModule(start)
    set_bias(module, 1.0)
    average, expected = Average(module, 0.15), 1.0
    for number, value in enumerate((2.0, 3.0, 4.0)):
        set_bias(module, value)
        average.update()
        decay = min(0.15, (1 + number) / (10 + number))
        expected = decay * expected + (1 - decay) * value
    with average.applied():
        np.testing.assert_allclose(bias(module), expected, rtol=1e-6)
    assert bias(module) == 4.0


def test_without_a_decay_the_parameters_are_left_alone(start: Start):
    module = QuantizedModule(start)
    average = Average(module, 0.0)
    set_bias(module, 5.0)
    average.update()
    with average.applied():
        assert bias(module) == 5.0
    assert average.state() == (0, {})
