"""The lock of a location: of two admins at once only one changes what is there.

It is a file that says who has it. Where they are not told to overwrite, the Files API and the Workspace API
write a file only if there is none; neither has more than that. Whoever can write to the location can write
this file too: what is in it is shown, and nothing else follows from it.
"""

from __future__ import annotations

import platform
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone

from azureml_databricks.admin import to_run
from azureml_databricks.admin.errors import AdminError
from azureml_databricks.admin.objects.record import LOCK, Record
from azureml_databricks.admin.objects.storage import Storage
from azureml_databricks.admin.printable import printable

_SHOWN_LETTERS = 200


class Lock:
    """The lock of one location, which it takes to change anything."""

    def __init__(self, storage: Storage, record: Record, who: str, *, force: bool = False) -> None:
        """Name what it is for.

        Args:
            storage: the location.
            record: of what was made there, as it was read before the lock is taken.
            who: the admin.
            force: whether to take it once from who has it.
        """
        self._storage = storage
        self._record = record
        self._who = who
        self._force = force
        self._content = b""
        self._is_held = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Have it for as long as this lasts, whatever ends it.

        Raises:
            AdminError: another admin has it, or has changed something since the record was read.
        """
        self._content = self._new_content()
        try:
            self._take()
            yield
        except BaseException:
            # What went wrong is told, and not that the lock could not be given back after that.
            with suppress(AdminError):
                self._give_back()
            raise
        self._give_back()

    def check(self) -> None:
        """Look whether it is still held: to be called before each change.

        Raises:
            AdminError: another admin has it by now, or has deleted it.
        """
        found = self._storage.read(LOCK)
        if found != self._content:
            by = f"is locked by {_shown(found)} now" if found is not None else f"has no {LOCK} any more"
            raise AdminError(
                f"{self._storage.location} {by}: nothing more was changed here; look with "
                f"`{to_run.ours('status')}`, and run this again once nobody else is at work"
            )

    def _new_content(self) -> bytes:
        """Return what nobody else would write: two may be one person on one machine in one second."""
        since = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
        told = printable(f"{self._who}, since {since}, from {platform.node() or 'an unnamed machine'}")
        return f"{told}\n{secrets.token_hex(16)}\n".encode()

    def _take(self) -> None:
        if not self._record.has_folder:
            self._storage.make()
        if not self._storage.create(LOCK, self._content) and self._force:
            self._storage.write(LOCK, self._content)
        self._force = False
        # A request that is sent again finds what it wrote; of two at once, one has written last.
        found = self._storage.read(LOCK)
        if found != self._content:
            raise AdminError(
                f"{self._storage.location} is locked by {_shown(found)}: wait until that has ended; if it "
                f"was killed and {LOCK} is what it left there, run this again with --force"
            )

        self._record.check_as_read()
        if not self._record.has_folder:
            self._record.note_folder()
        self._is_held = True

    def _give_back(self) -> None:
        try:
            self._delete()
        except KeyboardInterrupt:
            self._delete()
            raise

    def _delete(self) -> None:
        # It may be another admin's by now, who has forced it.
        if self._storage.read(LOCK) == self._content:
            if self._is_held:
                self._record.close()
            self._storage.delete(LOCK)
            self._record.delete_folder()


def _shown(content: bytes | None) -> str:
    told = (content or b"").decode(errors="replace").partition("\n")[0]
    return printable(told[:_SHOWN_LETTERS]) or "somebody"
