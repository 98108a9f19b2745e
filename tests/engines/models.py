"""Small models, written as text, that engine and evaluation tests run."""

from __future__ import annotations

import onnx_ir as ir

from quantlab.graph.model import Model


def model_from_text(body: str, opset: int = 21, extra_domain: str = "") -> Model:
    domain = f', "{extra_domain}" : 1' if extra_domain else ""
    return Model(ir.from_onnx_text(f'<ir_version: 10, opset_import: ["" : {opset}{domain}]>\n{body}'))


def chain() -> Model:
    """x [N, 4] -> |x| -> -|x| -> y."""
    return model_from_text(
        """
        chain (float[N, 4] x) => (float[N, 4] y) {
          [first] a = Abs(x)
          [second] b = Neg(a)
          [third] y = Sigmoid(b)
        }
        """
    )


def two_inputs() -> Model:
    """The sum of x [N, 4] and z [N, 4]."""
    return model_from_text(
        """
        two (float[N, 4] x, float[N, 4] z) => (float[N, 4] y) {
          [add] y = Add(x, z)
        }
        """
    )


def fixed_batch() -> Model:
    """A model whose batch size is 2."""
    return model_from_text(
        """
        fixed (float[2, 4] x) => (float[2, 4] y) {
          [first] a = Abs(x)
          [second] y = Neg(a)
        }
        """
    )


def rounding() -> Model:
    """x [N, 4], quantized with scale 0.5 and read back."""
    return model_from_text(
        """
        rounding (float[N, 4] x) => (float[N, 4] y)
        <float s = {0.5}, int8 z = {0}> {
          [q] q = QuantizeLinear(x, s, z)
          [dq] d = DequantizeLinear(q, s, z)
          [last] y = Neg(d)
        }
        """
    )
