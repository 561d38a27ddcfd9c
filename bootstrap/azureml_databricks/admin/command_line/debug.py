"""`--debug`: requests to Databricks and to Azure as urllib3 logs them, without headers and bodies."""

from __future__ import annotations

import logging
import re

# What signs an address, and who is named in one.
_IN_ADDRESS = re.compile(r"(?<=[?&]sig=)[^&\s\"]+|(?<=://)[^/@\s]+(?=@)")


def show_requests() -> None:
    """Print each request and each connection to standard error from now on.

    A line has host, method, path and status: https://urllib3.readthedocs.io/en/stable/v2-migration-guide.html
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_WithoutSecrets("debug: %(asctime)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("urllib3")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False


class _WithoutSecrets(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return _IN_ADDRESS.sub("***", super().format(record))
