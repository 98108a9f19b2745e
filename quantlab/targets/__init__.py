"""What a runtime can run in INT8, as data and rules."""
