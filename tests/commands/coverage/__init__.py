"""The page tests/emulated/COVERAGE.md: what each emulator serves, and from which source each rule is.

How a source is named in the code: tests/emulated/README.md.
"""
