"""The service principal as `secrets` is given it: in a pipe, in a file, or by a person who is asked.

What `az ad sp create-for-rbac` pipes in is the only copy of its secret.
"""

from __future__ import annotations

import sys
from typing import BinaryIO

import click

from azureml_databricks.admin.commands import service_principal
from azureml_databricks.admin.commands.service_principal import ServicePrincipal
from azureml_databricks.admin.errors import AdminError

# What click calls it.
_STANDARD_INPUT = ("-", "<stdin>")


class GivenSecret:
    """A service principal and its secret, on their way into the scope.

    Attributes:
        is_stored: whether the scope has it by now.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.is_stored = False
        self._file: BinaryIO | None = None
        self._made_by = ""
        self._content: bytes | None = None

    def take(self, file: BinaryIO | None, made_by: str) -> None:
        """Take where it is read from.

        Args:
            file: None for standard input or a person.
            made_by: the command that prints it.
        """
        self._file, self._made_by = file, made_by
        if file and file.name not in _STANDARD_INPUT:
            # Click closes it before an error, which wants to know whose secret this is, is told.
            self._content = file.read()

    @property
    def is_typed(self) -> bool:
        """Whether a person is asked."""
        return self._file is None and sys.stdin.isatty()

    def read(self) -> ServicePrincipal:
        """Read it.

        Raises:
            AdminError: it is none.
        """
        if self.is_typed:
            return ServicePrincipal(
                tenant_id=click.prompt("Tenant (tenant)").strip(),
                client_id=click.prompt("Application ID (appId)").strip(),
                client_secret=click.prompt("Secret (password), not shown", hide_input=True).strip(),
            )
        name = self._file.name if self._file else "-"
        origin = "standard input" if name in _STANDARD_INPUT else name
        return service_principal.parse(self._read(), origin, self._made_by)

    def note(self, is_stored: bool) -> None:
        """Note whether something that was written was the secret."""
        self.is_stored |= is_stored

    def way_out(self, command: str) -> str:
        """Return how one gets another where the scope has not got it, empty where nothing is lost.

        Args:
            command: what to give another secret to, empty for none of ours.
        """
        if self.is_stored or self.is_typed:
            return ""
        try:
            client_id = self.read().client_id
        except AdminError:
            if not self._read().strip():
                return ""
            client_id = "APP_ID"
        another = service_principal.another(client_id, command)
        return f"the secret is not in the scope: if that was its only copy, {another} makes another"

    def _read(self) -> bytes:
        if self._content is None:
            self._content = (self._file or sys.stdin.buffer).read()
        return self._content
