"""What variables say of the network: a proxy, a company's certificates.

A library that finds a proxy's address wrong shows it, with its password.
"""

from __future__ import annotations

import os
import ssl
from urllib.parse import urlsplit

from azureml_databricks.admin.errors import AdminError

# https://requests.readthedocs.io/en/latest/user/advanced/#proxies
_PROXIES = [spelt for name in ("https_proxy", "http_proxy", "all_proxy") for spelt in (name, name.upper())]

# Of those only the first counts: https://requests.readthedocs.io/en/latest/user/advanced/#ssl-cert-verification
_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def check() -> None:
    """Look whether each variable has what it is to have.

    Raises:
        AdminError: one has not; what it has is not shown where a password may be in it.
    """
    for name in _PROXIES:
        if (value := os.environ.get(name, "")) and not _is_address(value):
            raise AdminError(
                f"{name} is not the address of a proxy: it is http://HOST:PORT or "
                "http://USER:PASSWORD@HOST:PORT, and in a password # is %23, / is %2F, ? is %3F"
            )
    for name in _CERTIFICATES:
        if path := os.environ.get(name, ""):
            _check_certificates(name, path)
            break


def _check_certificates(name: str, path: str) -> None:
    kind = "capath" if os.path.isdir(path) else "cafile"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(**{kind: path})
    except OSError as error:
        raise AdminError(
            f"{name} is {path!r}: no certificates in PEM form can be read there "
            f"({error.strerror or error}): correct it, or unset it"
        ) from None


def _is_address(value: str) -> bool:
    try:
        address = urlsplit(value if "://" in value else f"http://{value}")
        host, port = address.hostname, address.port
    except ValueError:
        return False
    # What follows the host has no user in it: there a password was cut in two.
    return bool(host) and port != 0 and "@" not in value.partition(address.netloc)[2]
