"""Load, save and prepare ONNX graphs."""
