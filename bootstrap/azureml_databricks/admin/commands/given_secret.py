"""The service principal as it is given to `secrets set`: in a pipe, in a file, or by a person who is asked.

What `az ad sp create-for-rbac` pipes in is the only copy of its secret.
"""

from __future__ import annotations

import sys
from typing import BinaryIO

import click

from azureml_databricks.admin.commands import service_principal
from azureml_databricks.admin.commands.service_principal import ServicePrincipal
from azureml_databricks.admin.errors import AdminError


class GivenSecret:
    """A service principal and its secret, on their way into the scope.

    Attributes:
        file: where it is read from, None for standard input or a person.
        is_stored: whether the scope has it by now.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.file: BinaryIO | None = None
        self.is_stored = False
        self._content: bytes | None = None

    @property
    def is_typed(self) -> bool:
        """Whether a person is asked."""
        return self.file is None and sys.stdin.isatty()

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
        name = self.file.name if self.file else "-"
        return service_principal.parse(self._read(), "standard input" if name in ("-", "<stdin>") else name)

    def note(self, is_stored: bool) -> None:
        """Note whether something that was written was the secret."""
        self.is_stored |= is_stored

    def way_out(self, command: str) -> str:
        """Return how to go on where the scope has not got it, empty where it has or nothing is lost.

        Args:
            command: what to give another secret to.
        """
        if self.is_stored or self.is_typed:
            return ""
        try:
            client_id = self.read().client_id
        except AdminError:
            if not self._read().strip():
                return ""
            client_id = "APP_ID"
        return (
            "the secret is not in the scope; if that was its only copy, make another: "
            f"`az ad app credential reset --id {client_id} --append | azureml-databricks {command}`"
        )

    def _read(self) -> bytes:
        if self._content is None:
            self._content = (self.file or sys.stdin.buffer).read()
        return self._content
