"""Q/DQ nodes: insert them, bake constants to integers, read them back."""

from quantlab.qdq.bake import bake
from quantlab.qdq.insert import insert
from quantlab.qdq.read import read

__all__ = ["bake", "insert", "read"]
