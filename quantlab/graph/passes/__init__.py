"""The passes of `prepare`: each changes an `ir.Model` in place and returns sentences about what it did or refused."""
