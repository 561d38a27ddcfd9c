"""Faults, each injected for real, and what becomes of each: `make faults`."""
