"""What other tools leave behind: TensorRT calibration caches, pytorch-quantization weights, foreign Q/DQ models."""
