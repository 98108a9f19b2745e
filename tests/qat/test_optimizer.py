"""Steps are relative to what they move, and scales stay where they must."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from quantlab.plan import Plan
from quantlab.qat.module import QuantizedModule
from quantlab.qat.optimizer import RMS_FLOOR, Optimizer
from quantlab.qat.settings import QatSettings
from quantlab.qat.start import Start
from tests.qat.networks import digits

FULL_RATE = 0.5  # of a training without warm-up and range freezing: see `plain`


def plain(**settings) -> QatSettings:
    """Settings whose rate factor is 1 at half of the training."""
    return QatSettings(**{"warmup": 0.5, "freeze_ranges": 0.0, "clip_norm": None, "learn_scales": True, **settings})


def gradients(module: QuantizedModule, factor: float = 1.0) -> None:
    """Give every parameter the gradient of a loss on digits."""
    images, _ = digits("train")
    module.zero_grad()
    torch.autograd.backward(factor * module({"image": torch.from_numpy(images[:16])})["scores"].square().mean())


def stepped(module: QuantizedModule, settings: QatSettings, done: float = FULL_RATE) -> dict[str, torch.Tensor]:
    """Return the parameters before one step."""
    optimizer = Optimizer(module, settings)
    before = {name: p.detach().clone() for name, p in module.parameters_by_name.items()}
    gradients(module)
    optimizer.step(done)
    return before


def rms(tensor: torch.Tensor) -> float:
    return float(tensor.double().square().mean().sqrt())


@pytest.mark.parametrize("hardness", ["start", "hard_start"])
def test_a_step_moves_every_weight_tensor_by_the_same_share(hardness, request):
    module = QuantizedModule(request.getfixturevalue(hardness))
    before = stepped(module, plain(learning_rate=1e-2))
    for name, parameter in module.parameters_by_name.items():
        largest = float((parameter.detach() - before[name]).abs().max())
        # Adam's first step is the rate itself where the gradient is not tiny.
        assert largest == pytest.approx(1e-2 * rms(before[name]), rel=1e-2), name


def test_a_tensor_of_zeros_can_move(start: Start):
    module = QuantizedModule(start)
    with torch.no_grad():
        module.parameters_by_name["b2"].zero_()
    stepped(module, plain(learning_rate=1e-2))
    assert float(module.parameters_by_name["b2"].detach().abs().max()) == pytest.approx(1e-2 * RMS_FLOOR, rel=1e-2)


def test_a_scale_moves_by_a_factor_channel_by_channel(hard_start: Start):
    module = QuantizedModule(hard_start, learn_scales=True)
    before = stepped(module, plain(scale_rate=0.05))
    for name, scale in module.scales.items():
        ratio = (scale.detach() / before[name]).log().abs().numpy()
        assert ratio.max() == pytest.approx(0.05, rel=1e-2), name
        assert ratio.max() < 0.0501


def test_a_rate_of_nothing_gives_back_the_calibrated_scales_bit_for_bit(start: Start):
    module = QuantizedModule(start, learn_scales=True)
    before = stepped(module, plain(), done=0.0)
    assert all(torch.equal(before[name], p) for name, p in module.parameters_by_name.items())


def test_ranges_freeze_in_the_last_part_while_weights_go_on(start: Start):
    module = QuantizedModule(start, learn_scales=True)
    before = stepped(module, plain(freeze_ranges=0.2), done=0.85)
    assert all(torch.equal(before[name], scale) for name, scale in module.scales.items())
    assert not torch.equal(before["w2"], module.parameters_by_name["w2"])


def with_point(start: Start, tensor: str, **changes) -> Start:
    points = tuple(replace(p, **changes) if p.tensor == tensor else p for p in start.plan.points)
    return Start(start.model, Plan(start.plan.target, points))


def test_a_range_known_without_data_does_not_learn(start: Start):
    module = QuantizedModule(with_point(start, "hidden1", fixed_range=(0.0, 1.0)), learn_scales=True)
    before = stepped(module, plain())
    assert torch.equal(before["hidden1_scale"], module.scales["hidden1_scale"])
    assert not torch.equal(before["hidden2_scale"], module.scales["hidden2_scale"])


def test_a_range_stays_within_its_limits(start: Start):
    highest = 255 * float(start.model.constant("hidden1_scale")) * 1.01
    module = QuantizedModule(with_point(start, "hidden1", limits=(0.0, highest)), learn_scales=True)
    optimizer = Optimizer(module, plain(scale_rate=0.1))
    for _ in range(5):
        module.zero_grad()
        module.scales["hidden1_scale"].grad = torch.tensor(-1.0)  # grow
        optimizer.step(FULL_RATE)
        scale = np.float64(module.scales["hidden1_scale"].detach())
        assert scale * 255 <= highest
    assert scale * 255 == pytest.approx(highest, rel=1e-6)


def test_a_scale_stays_above_its_share_of_another(start: Start):
    ratio = float(start.model.constant("hidden2_scale") / start.model.constant("hidden1_scale"))
    floored = with_point(start, "hidden2", scale_floor=("hidden1", ratio * 0.99))
    module = QuantizedModule(floored, learn_scales=True)
    optimizer = Optimizer(module, plain(scale_rate=0.1))
    for _ in range(3):
        module.zero_grad()
        module.scales["hidden2_scale"].grad = torch.tensor(1.0)  # shrink
        optimizer.step(FULL_RATE)
    before, after = (module.scales[f"{name}_scale"].detach() for name in ("hidden1", "hidden2"))
    assert float(after / before) == pytest.approx(ratio * 0.99, rel=1e-6)


def test_decay_pulls_at_kernels_and_matrices_only(start: Start):
    module, undecayed = QuantizedModule(start), QuantizedModule(start)
    stepped(module, plain(weight_decay=10.0))
    stepped(undecayed, plain())
    for name, parameter in module.parameters_by_name.items():
        is_pulled = not torch.equal(parameter, undecayed.parameters_by_name[name])
        assert is_pulled == (parameter.ndim > 1), name


def test_clipping_bounds_the_gradient(start: Start):
    module = QuantizedModule(start)
    before = {name: p.detach().clone() for name, p in module.parameters_by_name.items()}
    optimizer = Optimizer(module, plain(optimizer="sgd", clip_norm=1e-3, learning_rate=1.0))
    gradients(module, factor=1e6)
    optimizer.step(FULL_RATE)
    moved = sum(float((p.detach() - before[n]).square().sum()) / rms(before[n]) ** 2 for n, p in _weights(module))
    assert moved**0.5 == pytest.approx(1e-3, rel=1e-2)


def _weights(module: QuantizedModule):
    return module.parameters_by_name.items()


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_an_optimizer_goes_on_bit_for_bit_from_its_state(start: Start, name):
    settings = plain(optimizer=name)
    module, again = QuantizedModule(start, learn_scales=True), QuantizedModule(start, learn_scales=True)
    optimizer, resumed = Optimizer(module, settings), Optimizer(again, settings)
    gradients(module)
    optimizer.step(FULL_RATE)
    resumed.load({key: tensor.clone() for key, tensor in optimizer.state().items()})
    with torch.no_grad():
        for key, parameter in again.parameters_by_name.items():
            parameter.copy_(module.parameters_by_name[key])
    for one, its_optimizer in ((module, optimizer), (again, resumed)):
        gradients(one)
        its_optimizer.step(FULL_RATE)
    assert all(torch.equal(p, again.parameters_by_name[key]) for key, p in module.parameters_by_name.items())
