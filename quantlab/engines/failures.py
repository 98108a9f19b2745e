"""Turns ONNX Runtime's error messages into one line that names the node and the reason.

The messages come with an error number, source paths and signatures in front of the reason; for an operator it does
not know, ONNX Runtime names no node. Recognised here are the texts of ONNX Runtime 1.30 and 1.31; any other text is
passed on, in one line.
"""

from __future__ import annotations

import re

import onnx_ir as ir

from quantlab.graph.model import Model

_NUMBER = re.compile(r"^\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ")
_UNKNOWN_CUSTOM = re.compile(r"Fatal error: (?P<domain>[^:\s]*):(?P<op>[^(\s]+)\(-?\d+\) is not a registered")
_UNKNOWN = re.compile(r"No Op registered for (?P<op>\S+) with domain_version of (?P<opset>-?\d+)")
_NO_KERNEL = re.compile(
    r"Could not find an implementation for (?P<op>[^(\s]+)\((?P<version>\d+)\).* name '(?P<node>[^']*)'"
)
_RUNNING = re.compile(
    r"Non-zero status code returned while running (?P<op>\S+) node\. "
    r"Name:\s*'(?P<node>[^']*)' Status Message: (?P<rest>.*)"
)
_NEW_OPSET = re.compile(
    r"Opset (?P<opset>\d+) is under development .* official support for .* is till opset (?P<newest>\d+)"
)
_NEW_FORMAT = re.compile(r"Unsupported model IR version: (?P<version>\d+), max supported IR version: (?P<newest>\d+)")
# "/src/file.h:583 void ns::Function(arguments) reason": where in ONNX Runtime it happened does not help the user.
_SOURCE_PLACE = re.compile(r"^\S+\.(?:h|cc|cpp|hpp):\d+ (?:\S+ )*?\S*\([^)]*\)(?: const)? ")


def failure_reason(text: str, model: Model | None = None) -> str:
    """Return why ONNX Runtime refused a model or failed to run it, in one line.

    Args:
        text: the message of its exception.
        model: the model it was given, where the nodes of an unknown operator are looked up.
    """
    reason = _NUMBER.sub("", " ".join(text.split()))
    if found := _UNKNOWN_CUSTOM.search(reason):
        return _unknown_operator(model, found["op"], found["domain"])
    if found := _UNKNOWN.search(reason):
        return _unknown_operator(model, found["op"], None)
    if found := _NO_KERNEL.search(reason):
        return f"node {found['node']!r}: operator {found['op']}-{found['version']} has no kernel for these types"
    if found := _RUNNING.search(reason):
        return f"node {found['node']!r} ({found['op']}): {_SOURCE_PLACE.sub('', found['rest'])}"
    if found := _NEW_OPSET.search(reason):
        return f"opset {found['opset']} is too new for it; export the model again with opset {found['newest']} or older"
    if found := _NEW_FORMAT.search(reason):
        return (
            f"the file is of IR version {found['version']}, too new for it (it reads up to {found['newest']}); "
            "install a newer onnxruntime, or write the model with an older onnx"
        )
    return _SOURCE_PLACE.sub("", reason)


def _unknown_operator(model: Model | None, op: str, domain: str | None) -> str:
    everything = ir.traversal.RecursiveGraphIterator(model.graph) if model else ()
    nodes = [node for node in everything if node.op_type == op]
    nodes = [node for node in nodes if domain is None or node.domain == domain] or nodes
    where = f"node {nodes[0].name!r}: " if nodes else ""
    more = f" ({len(nodes)} such nodes)" if len(nodes) > 1 else ""
    domain = domain if domain is not None else (nodes[0].domain if nodes else "")
    if domain:
        return (
            f"{where}operator {op} of domain {domain!r} is unknown{more}; "
            "name the shared library that implements it: --library FILE, or `libraries` in Python"
        )
    opset = f" in opset {model.opset}" if model else ""
    return f"{where}operator {op} is unknown{opset}{more}; export the model again with a known one"
