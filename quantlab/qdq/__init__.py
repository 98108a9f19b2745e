"""Q/DQ nodes: insert, bake, read back."""
