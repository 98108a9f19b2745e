"""Proof, node by node, of what a runtime made of an INT8 model.

A Q/DQ model is only a wish: whether a node runs in integers is decided by the runtime's optimizer, silently.
`onnxruntime` looks into the graph that ONNX Runtime would execute, `tensorrt` into the layers of a built engine.
"""

from quantlab.audit.findings import Audit, AuditRow, Conversion, Placement
from quantlab.audit.onnxruntime import audit_onnxruntime
from quantlab.audit.planned import plan_of
from quantlab.audit.tensorrt import audit_tensorrt

__all__ = ["Audit", "AuditRow", "Conversion", "Placement", "audit_onnxruntime", "audit_tensorrt", "plan_of"]
