"""A table of calls to MLflow, made on MLflow's own server and on the emulated Azure, and compared one by one.

The table is in `calls/`: programs of which each statement is a call. `recorder.py` makes the calls and writes
what comes of each, `comparison.py` compares, `python -m tests.matrices.parity` does all of it.
"""
