"""The bundled model and digits."""
