"""An ONNX graph as a torch module that runs, trains and is written back; needs the `torch` extra.

Nothing here is imported with `quantlab` itself: start at `quantlab.torchgraph.module`.
"""
