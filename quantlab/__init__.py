"""INT8 quantization and calibration workbench."""
