"""One lock a runtime: exactly what the bundle adds to it, with hashes."""
