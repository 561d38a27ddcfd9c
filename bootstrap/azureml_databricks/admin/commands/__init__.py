"""The command line: `cli.py` has the commands, the others what is too long to stand there."""
