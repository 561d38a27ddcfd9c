"""One upload and one policy on every runtime that is known: a row a runtime, a column a promise.

`python -m tests.matrices.runtimes` runs all of it and prints the README's matrix. A cell is all tests of that
column that ran on that runtime.
"""
