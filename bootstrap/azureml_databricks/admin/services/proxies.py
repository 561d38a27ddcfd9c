"""The proxy that a variable names. A library that finds an address wrong shows it, with its password."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from azureml_databricks.admin.errors import AdminError

# https://requests.readthedocs.io/en/latest/user/advanced/#proxies
_NAMES = [spelt for name in ("https_proxy", "http_proxy", "all_proxy") for spelt in (name, name.upper())]


def check() -> None:
    """Look whether each variable has the address of a proxy.

    Raises:
        AdminError: one has not; it does not show what it has, in which a password may be.
    """
    for name in _NAMES:
        if (value := os.environ.get(name, "")) and not _is_address(value):
            raise AdminError(
                f"{name} is not the address of a proxy: it is http://HOST:PORT or "
                "http://USER:PASSWORD@HOST:PORT, and in a password # is %23, / is %2F, ? is %3F"
            )


def _is_address(value: str) -> bool:
    try:
        address = urlsplit(value if "://" in value else f"http://{value}")
        host, port = address.hostname, address.port
    except ValueError:
        return False
    # What follows the host has no user in it: there a password was cut in two.
    return bool(host) and port != 0 and "@" not in value.partition(address.netloc)[2]
