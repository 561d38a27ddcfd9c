"""What `doctor` looks at, a file for each part, in the order in which one thing depends on another.

A part is a function that yields findings. `examination.py` asks them all, `report.py` shows what came of it.
Until MLflow is there, only the standard library is imported.
"""
