"""Small models as ONNX text, and what they compute."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime

from quantlab.data.batch import Array
from quantlab.graph.load import load
from quantlab.graph.model import Model
from quantlab.graph.prepare import prepare
from quantlab.graph.save import to_bytes

# float32 keeps 24 bits; folding reorders sums of at most some thousand terms. Half precision keeps 11 bits.
TOLERANCES = {"float16": 2e-3, "float32": 1e-5, "float64": 1e-5}


def parsed(graph: str, opset: int = 17, ir_version: int = 8, **weights: Array) -> Model:
    """Return the model of a graph in ONNX's text form, its weights given by name."""
    domains = f'"" : {opset}, "own" : 1, "com.microsoft" : 1'
    proto = onnx.parser.parse_model(f"<ir_version: {ir_version}, opset_import: [{domains}]> {graph}")
    proto.graph.initializer.extend(onnx.numpy_helper.from_array(array, name) for name, array in weights.items())
    return load(proto.SerializeToString())


def outputs_of(model: Model, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """Run a model in ONNX Runtime as it is written, without its optimizations."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(to_bytes(model), options, providers=["CPUExecutionProvider"])
    return dict(zip(model.outputs, session.run(list(model.outputs), dict(feeds)), strict=True))


def random_feeds(model: Model, batch: int = 2, seed: int = 0) -> dict[str, Array]:
    """Return normal numbers for every input, free axes of size `batch`."""
    random = np.random.default_rng(seed)
    shapes = {spec.name: [d if isinstance(d, int) else batch for d in spec.shape or ()] for spec in model.inputs}
    return {spec.name: np.asarray(random.normal(size=shapes[spec.name]), spec.dtype) for spec in model.inputs}


def assert_same_outputs(before: Model, after: Model, feeds: Mapping[str, Array] | None = None) -> None:
    """Check that two models agree within 1e-5 of the largest magnitude of each output."""
    feeds = feeds or random_feeds(before)
    wanted, got = outputs_of(before, feeds), outputs_of(after, feeds)
    assert list(wanted) == list(got)
    for name, array in wanted.items():
        assert got[name].dtype == array.dtype
        assert got[name].shape == array.shape
        if array.size and np.issubdtype(array.dtype, np.floating):
            scale = float(np.nanmax(np.abs(array)))
            tolerance = TOLERANCES[str(array.dtype)] * scale
            np.testing.assert_allclose(got[name], array, rtol=0, atol=tolerance, err_msg=name)
        else:
            np.testing.assert_array_equal(got[name], array)


def prepared(model: Model) -> Model:
    """Prepare a model and check that it still computes the same."""
    after = prepare(model)
    assert_same_outputs(model, after)
    return after


def ops(model: Model) -> list[str]:
    """Return the operators of the main graph in order."""
    return [node.op_type for node in model.graph]


def weight(model: Model, name: str) -> Array:
    """Return an initializer by name."""
    tensor: ir.TensorProtocol | None = model.graph.initializers[name].const_value
    assert tensor is not None
    return tensor.numpy()
