"""What a training step of the Q/DQ graph costs against one of the float graph: forward, backward and the optimizer.

    overhead = seconds per step of the Q/DQ graph / seconds per step of the float graph        medians, in turns

Both are the same kind of torch module, at the same batch, with the same optimizer, TF32 off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.architectures import OPSET, logits_of
from benchmarks.finding import Finding
from benchmarks.scale import Scale, waiting_clock
from benchmarks.trained import TRAINABLE, Trainable
from quantlab.engines.torch_device import device_named, numerics
from quantlab.graph.export_torch import export_torch
from quantlab.graph.model import Model
from quantlab.job import Inputs, open_job
from quantlab.pipeline import quantize
from quantlab.qat.module import QuantizedModule
from quantlab.qat.start import start_from_quantized
from quantlab.recipe import Recipe
from quantlab.resume import collect_for
from quantlab.torchgraph.module import GraphModule

if TYPE_CHECKING:
    import torch

_TARGET = 3.0
_CLASSES = 20
_SIZES = ((224, 128), (128, 64))
"""Height and width, and batch; at the second the GPU waits for Python."""
_ROUNDS = 10
_WAYS = {"distill": False, "lsq": True}


def run(scale: Scale) -> Iterator[Finding]:
    """Measure each network at each size, for both targets, without and with learned scales."""
    for side, batch in _SIZES:
        pixels = (scale.of(batch, 4), 3, side, side)
        for network in TRAINABLE.values():
            model = _model(network, side)
            for target in ("onnxruntime", "tensorrt"):
                for way, learn_scales in _WAYS.items():
                    modules = _modules(model, target, side, learn_scales=learn_scales)
                    title = f"{network.title} at {side} {target} {way}, training step of the Q/DQ graph"
                    yield _finding(title, _step_seconds(modules, pixels, scale), pixels[0])


def _finding(title: str, seconds: dict[str, float], batch_size: int) -> Finding:
    detail = (
        f"{1e3 * seconds['qdq']:.1f} ms against {1e3 * seconds['float']:.1f} ms, "
        f"batch {batch_size}, {batch_size / seconds['qdq']:.0f} images/s"
    )
    return Finding(title, seconds["qdq"] / seconds["float"], "x", at_most=_TARGET, detail=detail)


def _model(network: Trainable, side: int) -> Model:
    import torch

    torch.manual_seed(0)
    module = logits_of(network.build(side, _CLASSES)).eval()
    example = torch.zeros(2, 3, side, side)
    return export_torch(module, example, input_names=["pixels"], output_names=["logits"], opset=OPSET)


def _modules(model: Model, target: str, side: int, *, learn_scales: bool) -> dict[str, GraphModule]:
    pixels = np.random.default_rng(0).standard_normal((8, 3, side, side), np.float32)
    recipe = Recipe(samples=4, targets=(target,), calibrator="minmax")
    job = open_job(recipe, Inputs(model=model, data={"pixels": pixels}))
    plan, calibrator = job.plans[target], recipe.calibrator_with_options()
    start = start_from_quantized(job.model, quantize(job, plan, collect_for(job).statistics, calibrator))
    return {"float": GraphModule(job.model), "qdq": QuantizedModule(start, learn_scales=learn_scales)}


def _step_seconds(modules: dict[str, GraphModule], shape: tuple[int, ...], scale: Scale) -> dict[str, float]:
    import torch

    device = device_named(scale.device)
    pixels = torch.randn(shape, device=device)
    clock = waiting_clock(scale.device)
    steps = {name: _step_of(module.to(device), pixels) for name, module in modules.items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    with numerics():
        for number in range(scale.of(_ROUNDS, 2) + 1):
            for name, step in steps.items():
                begun = clock()
                step()
                if number > 0:  # the first chooses algorithms
                    seconds[name].append(clock() - begun)
    return {name: median(times) for name, times in seconds.items()}


def _step_of(module: GraphModule, pixels: torch.Tensor) -> Callable[[], None]:
    import torch

    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-6)

    def step() -> None:
        optimizer.zero_grad()
        torch.autograd.backward(module.run({"pixels": pixels})["logits"].square().mean())
        optimizer.step()
        module.keep_scales_positive()

    return step
