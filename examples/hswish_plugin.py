"""HSwish as a TensorRT plugin in Python: y = x · clip(x / 6 + 0.5, 0, 1).

    python examples/custom_operator.py network.int8.onnx
    quantlab build network.int8.onnx --plugins examples/hswish_plugin.py

An ONNX node `HSwish` of any domain becomes this plugin, since TensorRT looks custom operators up by name alone. Running
calls `enqueue`, which computes with cupy; `hswish_plugin.cu` is the same without Python. TensorRT-RTX 1.7 takes plugins
of this kind (`IPluginV3`) only: its package lacks the module behind `tensorrt_rtx.plugin`.

Built into engines by TensorRT-RTX 1.7, with its own Python package and with that of TensorRT 11.4 on top of the same
library. TensorRT itself has not built it, and no GPU has run it yet.
"""

from __future__ import annotations

import importlib
import sys

import numpy as np

trt = sys.modules.get("tensorrt_rtx") or importlib.import_module("tensorrt")  # the one that quantlab has imported

NAME, VERSION, NAMESPACE = "HSwish", "1", ""


class HSwish(trt.IPluginV3, trt.IPluginV3OneCore, trt.IPluginV3OneBuild, trt.IPluginV3OneRuntime):
    """Elementwise, one input, one output of the same type and shape: float32 or float16."""

    def __init__(self) -> None:
        for base in (trt.IPluginV3, trt.IPluginV3OneCore, trt.IPluginV3OneBuild, trt.IPluginV3OneRuntime):
            base.__init__(self)
        self.plugin_name = NAME
        self.plugin_version = VERSION
        self.plugin_namespace = NAMESPACE
        self.num_outputs = 1

    def get_capability_interface(self, type):
        return self

    def get_output_data_types(self, input_types):
        return [input_types[0]]

    def get_output_shapes(self, inputs, shape_inputs, expression_builder):
        return [trt.DimsExprs(inputs[0])]

    def supports_format_combination(self, position, descriptions, input_count):
        own = descriptions[position].desc
        is_float = own.type in (trt.float32, trt.float16)
        return own.format == trt.TensorFormat.LINEAR and is_float and own.type == descriptions[0].desc.type

    def configure_plugin(self, inputs, outputs):
        return None

    def on_shape_change(self, inputs, outputs):
        return None

    def get_fields_to_serialize(self):
        return trt.PluginFieldCollection([])

    def get_valid_tactics(self):
        return []

    def set_tactic(self, tactic):
        return None

    def get_workspace_size(self, inputs, outputs):
        return 0

    def attach_to_context(self, context):
        return self.clone()

    def clone(self):
        copy = HSwish()
        copy.__dict__.update(self.__dict__)
        return copy

    def enqueue(self, input_desc, output_desc, inputs, outputs, workspace, stream):
        import cupy as cp

        shape, dtype = tuple(input_desc[0].dims), trt.nptype(input_desc[0].type)
        size_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        with cp.cuda.ExternalStream(stream):
            x, y = (
                cp.ndarray(shape, dtype, cp.cuda.MemoryPointer(cp.cuda.UnownedMemory(address, size_bytes, self), 0))
                for address in (inputs[0], outputs[0])
            )
            cp.multiply(x, cp.clip(x / 6 + 0.5, 0, 1), out=y)


class HSwishCreator(trt.IPluginCreatorV3One):
    """Makes the plugin where the parser meets the operator."""

    def __init__(self) -> None:
        trt.IPluginCreatorV3One.__init__(self)
        self.name = NAME
        self.plugin_version = VERSION
        self.plugin_namespace = NAMESPACE
        self.field_names = trt.PluginFieldCollection([])

    def create_plugin(self, name, fields, phase):
        return HSwish()


CREATOR = HSwishCreator()  # the registry does not keep it alive
trt.get_plugin_registry().register_creator(CREATOR, NAMESPACE)
