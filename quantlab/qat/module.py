"""Q/DQ model, or float model and samples → torch module to train → INT8 model.

    prepare   whatever holds Q/DQ pairs, as Q/DQ model, baked to integers, or of another tool ─▶ QuantizedModule
              a float model and samples, which are calibrated as by `ptq`                     ─▶ QuantizedModule
    finish    QuantizedModule, trained or not ─▶ INT8 model: parameters written back, constants baked

Between the two the module is an ordinary `torch.nn.Module`: feeds in, outputs by name out, parameters in
`parameters()`. Weights are float and learn through the rounding; so do scales with `learn_scales`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from quantlab.errors import ModelError, RecipeError
from quantlab.graph.model import Model
from quantlab.graph.quantized import is_quantized
from quantlab.opening import check_torch_settings, open_model
from quantlab.pipeline import Run
from quantlab.plan import Plan
from quantlab.qat.bounds import ScaleBounds, fit_biases
from quantlab.qat.start import PLAN_KEY, Start, start_from_model, start_from_run, start_from_samples
from quantlab.qdq import bake
from quantlab.recipe import Recipe
from quantlab.torchgraph.module import GraphModule
from quantlab.torchgraph.write_back import write_back
from quantlab.torchmodels import is_torch_module


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


def prepare(
    model: object,
    data: object = None,
    *,
    target: str | None = None,
    learn_scales: bool = False,
    **settings: object,
) -> QuantizedModule:
    """Return a torch module for a training loop of your own.

    Call `module.keep_scales_positive()` after each optimizer step where scales learn, and `finish(module)` at the end.

    Args:
        model: a float model, with `data`: the path or bytes of an ONNX file, a `Model`, the name of a torch model, a
            torch module or (module, example inputs). Or what `quantlab.ptq` returned. Or a Q/DQ model, also another
            tool's and also with integer weights: a path, bytes, or a `Model`. Biases and weights that are integers
            already start from the values that these stand for, so the float model is the better start where there is
            one.
        data: the samples that calibrate a float model: what `quantlab.ptq` takes. None for a model that is quantized.
        target: the runtime a float model is quantized for, `onnxruntime` if not given; of a run that has several, the
            one to train for.
        learn_scales: whether the scales of Q/DQ pairs are parameters too.
        **settings: with `data`: other fields of `Recipe`, such as `calibrator="entropy"` or `samples=256`.

    Raises:
        ModelError: there is no such model, it is float and there is no data, or torch cannot run it.
        RecipeError: a setting is unknown, or is not for such a model.
        QuantlabError: calibration fails, as in `quantlab.ptq`.
        EngineMissing: torch is not installed.
    """
    if isinstance(model, Run):
        _refuse_samples("what ptq returned", data, settings)
        return QuantizedModule(start_from_run(model, target), learn_scales=learn_scales)
    if not isinstance(model, Model | str | bytes | os.PathLike) and not is_torch_module(model):
        raise ModelError(
            f"prepare: {type(model).__name__} is not what can be trained; give a float model and samples, a run of "
            "ptq, or a Q/DQ model"
        )
    recipe = _recipe_of(target, settings)
    check_torch_settings([model], recipe.torch_settings())
    opened = open_model(model, recipe.torch_settings())
    if data is None or is_quantized(opened):
        start = start_from_model(opened)
        _refuse_samples(opened.name, data, settings)
        if target is not None:
            raise RecipeError("prepare: `target` is for a float model or a run of several; a Q/DQ model has its own")
    else:
        start = start_from_samples(opened, data, recipe)
    return QuantizedModule(start, learn_scales=learn_scales)


def _recipe_of(target: str | None, settings: Mapping[str, object]) -> Recipe:
    if "targets" in settings:
        raise RecipeError("prepare: `targets`: a module is trained for one; give target=NAME")
    return Recipe.of(settings if target is None else {**settings, "targets": (target,)})


def _refuse_samples(what: str, data: object, settings: Mapping[str, object]) -> None:
    """Refuse what only a float model takes."""
    given = [*(["data"] if data is not None else []), *settings]
    if given:
        raise RecipeError(f"prepare: {', '.join(given)}: only a float model is calibrated, and {what} is quantized")


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
