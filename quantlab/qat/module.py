"""Q/DQ model → torch module to train → INT8 model.

    prepare   whatever holds Q/DQ pairs, as Q/DQ model, baked to integers, or of another tool ─▶ QuantizedModule
    finish    QuantizedModule, trained or not ─▶ INT8 model: parameters written back, constants baked

Between the two the module is an ordinary `torch.nn.Module`: feeds in, outputs by name out, parameters in
`parameters()`. Weights are float and learn through the rounding; so do scales with `learn_scales`.
"""

from __future__ import annotations

import os

from quantlab.errors import ModelError, RecipeError
from quantlab.graph.model import Model
from quantlab.opening import open_model
from quantlab.pipeline import Run
from quantlab.plan import Plan
from quantlab.qat.bounds import ScaleBounds, fit_biases
from quantlab.qat.start import PLAN_KEY, Start, start_from_model, start_from_run
from quantlab.qdq import bake
from quantlab.torchgraph.module import GraphModule
from quantlab.torchgraph.write_back import write_back


class QuantizedModule(GraphModule):
    """A Q/DQ model as a module that knows the way back.

    Attributes:
        start: the Q/DQ model it was made from, with its plan.
    """

    def __init__(self, start: Start, *, learn_scales: bool = False) -> None:
        """Build the module.

        Args:
            start: the Q/DQ model and its plan; they are not changed.
            learn_scales: whether the scales of Q/DQ pairs are parameters too.

        Raises:
            ModelError: torch cannot run the graph.
        """
        super().__init__(start.model, learn_scales=learn_scales)
        self.start = start
        self._bounds = ScaleBounds(start)

    @property
    def plan(self) -> Plan:
        """Where the model is quantized."""
        return self.start.plan

    def keep_scales_positive(self) -> None:
        """Move scales that a step made too small, or that the plan's runtime would refuse, to the nearest allowed."""
        super().keep_scales_positive()
        self._bounds.hold({name: scale.data for name, scale in self.scales.items()})

    def qdq_model(self) -> Model:
        """Return the Q/DQ model with the parameters as they are now: weights and biases float, plan in the metadata.

        Raises:
            ModelError: training left NaN or infinity in a parameter.
        """
        written = write_back(self, self.start.model)
        written.ir_model.metadata_props[PLAN_KEY] = self.plan.to_json()
        return written


def prepare(model: object, *, target: str | None = None, learn_scales: bool = False) -> QuantizedModule:
    """Return a torch module for a training loop of your own.

    Call `module.keep_scales_positive()` after each optimizer step where scales learn, and `finish(module)` at the end.

    Args:
        model: what `quantlab.ptq` returned; or a Q/DQ model, also another tool's and also with integer weights: a
            path, bytes, or a `Model`. Biases and weights that are integers already start from the values that these
            stand for, so a run of `ptq` is the better start where there is one.
        target: which of a run's targets, where it has several.
        learn_scales: whether the scales of Q/DQ pairs are parameters too.

    Raises:
        ModelError: there is no such model, it has no Q/DQ pairs, or torch cannot run it.
        RecipeError: the run has no such target.
        EngineMissing: torch is not installed.
    """
    if isinstance(model, Run):
        return QuantizedModule(start_from_run(model, target), learn_scales=learn_scales)
    if target is not None:
        raise RecipeError("prepare: `target` chooses among the targets of a run; a Q/DQ model has its own")
    if isinstance(model, Model | str | bytes | os.PathLike):
        return QuantizedModule(start_from_model(open_model(model)), learn_scales=learn_scales)
    raise ModelError(f"prepare: {type(model).__name__} is not what can be trained; give a run of ptq or a Q/DQ model")


def finish(module: QuantizedModule) -> Model:
    """Return the INT8 model that a module has become: parameters written back, weights and biases integers.

    Args:
        module: what `prepare` made, trained or not, on any device; it is not changed.

    Raises:
        ModelError: training left NaN or infinity in a parameter.
    """
    finished = bake(fit_biases(module.qdq_model(), module.plan), module.plan)
    del finished.ir_model.metadata_props[PLAN_KEY]
    return finished
