"""What a training starts from: a Q/DQ model whose weights and biases are float, and the plan that bakes it again.

A float model becomes one with samples, which are collected and decided on as by `ptq`, and nothing else. From a run of
`ptq` both are there, with the weights of the float model, and a Q/DQ model that training left holds its plan in its
metadata. From any other Q/DQ model, another tool's too, the plan is read from the graph, and what is integer already
becomes the float values that it stands for.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import onnx_ir as ir

from quantlab.errors import ModelError, RecipeError
from quantlab.graph.model import Model
from quantlab.graph.passes.lift_constants import lift_constants
from quantlab.graph.passes.name_everything import name_everything
from quantlab.graph.passes.raise_opset import raise_opset
from quantlab.graph.passes.widen_halves import widen_halves
from quantlab.graph.quantized import integer_nodes
from quantlab.job import Inputs, Job, open_job
from quantlab.pipeline import Run, quantize
from quantlab.plan import Plan, Point, Reader
from quantlab.qdq import insert, read
from quantlab.qdq.insert import TARGET_KEY
from quantlab.qdq.read import UNKNOWN_TARGET
from quantlab.recipe import Recipe
from quantlab.report.build import Quantized
from quantlab.resume import collect_for
from quantlab.scheme import Scheme
from quantlab.torchgraph.unbake import unbake

_logger = logging.getLogger(__name__)

PLAN_KEY = "quantlab.plan"
"""Where a Q/DQ model that training left holds its plan, in its metadata."""


@dataclass(frozen=True, eq=False, slots=True)
class Start:
    """A Q/DQ model to train.

    Attributes:
        model: weights and biases are float; weights and activations have Q/DQ pairs.
        plan: where it is quantized; its bias points say which biases become integers.
    """

    model: Model
    plan: Plan


def start_from_run(run: Run, target: str | None = None) -> Start:
    """Return the start from what post-training quantization made for a target.

    Raises:
        RecipeError: the run has no such target, or several and none is named.
    """
    if target is None and len(run.quantized) == 1:
        (target,) = run.quantized
    if target is None or target not in run.quantized:
        raise RecipeError(f"target {target!r}: the run was made for {', '.join(run.quantized)}; name one of them")
    return start_from_quantized(run.model, run.quantized[target])


def start_from_quantized(model: Model, made: Quantized) -> Start:
    """Return the start from a prepared float model and what post-training quantization made of it."""
    return Start(insert(model, made.plan, made.encodings), made.plan)


def start_from_samples(model: Model, data: object, recipe: Recipe) -> Start:
    """Return the start from a float model and the samples that calibrate it; nothing is evaluated or written.

    What a report would warn of is logged.

    Args:
        model: the float model; it is not changed.
        data: what `--data` takes, or any re-iterable of samples; all of them calibrate, up to `samples`.
        recipe: how, and for which one target; what it calls model and data plays no part.

    Raises:
        QuantlabError: as `ptq` does; or nothing of the model is quantized.
    """
    # Samples to evaluate on are not needed, and must not be taken away from those that calibrate.
    job = open_job(recipe, Inputs(model, data, data))
    plan = plan_to_train(job)
    for warning in job.warnings:
        _logger.warning("%s", warning)
    statistics = collect_for(job).statistics
    return start_from_quantized(job.model, quantize(job, plan, statistics, job.recipe.calibrator_with_options()))


def plan_to_train(job: Job) -> Plan:
    """Return the plan of a job's only target.

    Raises:
        ModelError: it quantizes nothing.
    """
    (plan,) = job.plans.values()
    if not plan.points:
        raise ModelError(f"{job.model.name}: there is nothing to train; {job.warnings[-1]}")
    return plan


def start_from_model(model: Model) -> Start:
    """Return the start from a Q/DQ model, baked or not, of any tool.

    Raises:
        ModelError: the model has no Q/DQ pairs.
        PlanError: the plan in its metadata cannot be read.
    """
    if PLAN_KEY in model.ir_model.metadata_props:
        return Start(model, Plan.from_json(model.ir_model.metadata_props[PLAN_KEY]))
    _check_trainable(model)
    named = _tidied(model)
    plan, _ = read(named)
    if not plan.points:
        raise ModelError(
            f"{model.name}: it has no Q/DQ pairs to train; give samples to quantize it with, prepare(model, data), or "
            "what quantlab.ptq returned"
        )
    trainable = unbake(named)
    trained_plan, _ = read(trainable)
    biases = [_bias_point(point, trainable, trained_plan) for point in plan.of_role("bias")]
    points = [point for point in trained_plan.points if point.role != "bias"]
    kept_float = _weights_left_float(named, plan)
    return Start(trainable, replace(trained_plan, points=(*points, *filter(None, biases)), unbaked=kept_float))


def meant_for(start: Start, target: str) -> Start:
    """Return a start that says for which runtime it is; one that says so already stays as it is.

    Args:
        start: from a Q/DQ model.
        target: what a model is for that does not say.

    Raises:
        RecipeError: the model says otherwise than a target that is not the default, or the target cannot take it.
    """
    own = start.plan.target
    if own != UNKNOWN_TARGET:
        if target not in (own, *Recipe().targets):
            raise RecipeError(
                f"target {target!r}: {start.model.name} was made for {own}; quantize the float model anew"
            )
        return start
    foreign = next((p for p in start.plan.of_role("activation") if not _is_for_tensorrt(p.scheme)), None)
    if target == "tensorrt" and foreign is not None:
        raise RecipeError(
            f"target 'tensorrt': {foreign.tensor!r} of {start.model.name} is {foreign.scheme}, and TensorRT takes "
            "symmetric int8 only; give --target onnxruntime, or `quantlab lint --target tensorrt --fix` first"
        )
    model = start.model.clone()
    model.ir_model.metadata_props[TARGET_KEY] = target
    return Start(model, replace(start.plan, target=target))


def _is_for_tensorrt(scheme: Scheme) -> bool:
    return scheme.dtype == "int8" and scheme.symmetric


def _check_trainable(model: Model) -> None:
    integer = integer_nodes(model)
    if integer:
        others = f" and {len(integer) - 1} more compute" if len(integer) > 1 else " computes"
        raise ModelError(
            f"{model.name}: {integer[0]}{others} in integers, which have no gradient; `quantlab lint --target "
            "onnxruntime --fix` makes Q/DQ pairs of them where their scales are constants, else give the float model "
            "it was made from"
        )


def _tidied(model: Model) -> Model:
    """Return a clone whose constants are initializers and whose nodes all have names, as plans need it.

    It is float32: in half precision the steps of training would be lost.
    """
    clone = model.clone()
    for run_pass in (raise_opset, lift_constants, name_everything):
        run_pass(clone.ir_model)
    return Model(clone.ir_model, clone.path, (*clone.notes, *widen_halves(clone.ir_model)))


def _bias_point(point: Point, trainable: Model, plan: Plan) -> Point | None:
    """Return the point of a bias that was integer, as it and its sources are called now; None where nobody reads it."""
    encoded = {edge: other.tensor for other in plan.points for edge in other.readers}
    for reader in point.readers:
        node = trainable.nodes_by_name()[reader.node]
        bias, product = node.inputs[reader.index], _product_of(node, reader.index)
        sources = encoded.get(Reader(product, 0)), encoded.get(Reader(product, 1))
        if bias is not None and bias.name and sources[0] and sources[1]:
            return replace(point, tensor=bias.name, derived_from=(sources[0], sources[1]))
    return None


def _product_of(node: ir.Node, bias_index: int) -> str:
    """Return the node whose products a bias is added to: the node itself, or the MatMul before an Add."""
    if node.op_type != "Add":
        return node.name or ""
    other = node.inputs[1 - bias_index]
    producer = None if other is None else other.producer()
    return "" if producer is None else producer.name or ""


def _weights_left_float(model: Model, plan: Plan) -> tuple[str, ...]:
    """Return the weights that are float in a model whose other weights are integers: somebody meant it."""
    weights = [point.tensor for point in plan.of_role("weight")]
    left = tuple(name for name in weights if name in model.graph.initializers)
    return left if len(left) < len(weights) else ()
