"""Studies of quantization with quantlab: `python -m experiments` repeats them."""
