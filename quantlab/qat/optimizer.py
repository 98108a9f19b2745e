"""Moves the parameters of a module: weights by steps relative to their size, scales by factors.

    weight tensor w   rate = learning_rate · max(rms(w at the start), RMS_FLOOR)
    scale s           s = s₀ · exp(r),   ∂L/∂r = s · ∂L/∂s,   rate of r = scale_rate

So one rate suits tensors of any magnitude, a scale stays positive, and r = 0 gives back the calibrated s₀ bit for bit.
A scale whose range is known without data does not learn, and all are held where the plan's runtime takes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from quantlab.qat.bounds import fixed_scales
from quantlab.qat.module import QuantizedModule
from quantlab.qat.schedule import rate_factor
from quantlab.qat.settings import QatSettings

# Of a tensor of zeros, such as a fresh bias, the root mean square says nothing.
RMS_FLOOR = 1e-3

_STATE = "state"
_RATIO = "ratio"


class Optimizer:
    """The optimizer of one training."""

    def __init__(self, module: QuantizedModule, settings: QatSettings) -> None:
        """Begin.

        Args:
            module: as it is before the first step, also where the training will resume: the rates depend on it.
            settings: rates, decay, clipping.
        """
        self._module = module
        self._settings = settings
        fixed = fixed_scales(module.start)
        self._scales = {name: scale for name, scale in module.scales.items() if name not in fixed}
        self._starts = {name: scale.detach().clone() for name, scale in self._scales.items()}
        self._ratios = {name: torch.zeros_like(start, requires_grad=True) for name, start in self._starts.items()}
        self._weights = {n: p for n, p in module.parameters_by_name.items() if n not in module.scales}
        groups = [self._group_of(weight) for weight in self._weights.values()]
        groups += [_group(ratio, settings.scale_rate, 0.0) for ratio in self._ratios.values()]
        self._rates = [group["lr"] for group in groups]
        self._inner = _inner(groups, settings)

    def zero_grad(self) -> None:
        """Forget the gradients of the batch before."""
        self._module.zero_grad(set_to_none=True)
        for ratio in self._ratios.values():
            ratio.grad = None

    def step(self, done: float) -> None:
        """Move every parameter by its gradient.

        Args:
            done: the share of the training that is done, 0 to 1.
        """
        factor = rate_factor(done, self._settings.warmup)
        for group, rate in zip(self._inner.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        are_frozen = done >= 1 - self._settings.freeze_ranges
        for name, ratio in self._ratios.items():
            gradient = self._scales[name].grad
            ratio.grad = None if are_frozen or gradient is None else gradient * self._scales[name].detach()
        moved = [p for p in (*self._weights.values(), *self._ratios.values()) if p.grad is not None]
        if self._settings.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(moved, self._settings.clip_norm)
        self._inner.step()
        if not are_frozen:
            self._write_scales()

    def state(self) -> dict[str, Tensor]:
        """Return everything that `load` needs to go on bit for bit; the module's parameters are not among it."""
        tensors = {f"{_RATIO}.{name}": ratio.detach() for name, ratio in self._ratios.items()}
        for index, state in self._inner.state_dict()["state"].items():
            for name, value in state.items():
                if isinstance(value, Tensor):
                    tensors[f"{_STATE}.{index}.{name}"] = value
        return tensors

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned."""
        states: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            kind, _, rest = key.partition(".")
            if kind == _RATIO:
                with torch.no_grad():
                    self._ratios[rest].copy_(tensor)
            elif kind == _STATE:
                index, _, name = rest.partition(".")
                states.setdefault(int(index), {})[name] = tensor
        self._inner.load_state_dict({"state": states, "param_groups": self._inner.state_dict()["param_groups"]})

    def _group_of(self, weight: Tensor) -> dict[str, Any]:
        rms = float(weight.detach().double().square().mean().sqrt())
        decay = self._settings.weight_decay if weight.ndim > 1 else 0.0
        return _group(weight, self._settings.learning_rate * max(rms, RMS_FLOOR), decay)

    @torch.no_grad()
    def _write_scales(self) -> None:
        written = {name: self._starts[name] * ratio.exp() for name, ratio in self._ratios.items()}
        for name, value in written.items():
            self._scales[name].copy_(value)
        self._module.keep_scales_positive()
        for name, value in written.items():
            # What the bounds moved goes on from there.
            ratio, scale = self._ratios[name], self._scales[name]
            ratio.copy_(torch.where(scale == value, ratio, (scale / self._starts[name]).log()))


def _inner(groups: list[dict[str, Any]], settings: QatSettings) -> torch.optim.Optimizer:
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=settings.momentum)
    return torch.optim.AdamW(groups)


def _group(parameter: Tensor, rate: float, decay: float) -> dict[str, Any]:
    return {"params": [parameter], "lr": rate, "weight_decay": decay}
