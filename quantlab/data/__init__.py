"""Where feeds come from."""
