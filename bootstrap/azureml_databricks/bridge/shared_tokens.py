"""One token for all processes of one user on a node: who comes first logs in, the others wait and take it.

A cluster's executors start a Python worker for each core, and each would log in by itself. The token lies in
memory (`/dev/shm`), in a folder and a file that only this user can open, encrypted with a key that is made of
the whole login: a process that has not the secret itself has no use for it. Where there is no such place,
each process logs in for itself.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from azure.core.credentials import AccessToken
from cryptography.fernet import Fernet, InvalidToken

from azureml_databricks.node.paths import Paths

# Longer than any login takes.
_PATIENCE_SECONDS = 20


@dataclass(frozen=True)
class Answer:
    """What a login came to.

    Attributes:
        token: empty if it failed.
        expires_on: when it no longer counts, in seconds since 1970.
        failure: why, in one line.
    """

    token: str = ""
    expires_on: float = 0
    failure: str = ""

    def __repr__(self) -> str:
        return f"Answer(failure={self.failure!r})"

    def is_good_for(self, seconds: float) -> bool:
        """Return whether it will be valid for so long; a failure needs to be valid now only."""
        return self.expires_on - time.time() > (0 if self.failure else seconds)

    @property
    def access_token(self) -> AccessToken:
        """The token as azure-core has it."""
        return AccessToken(self.token, int(self.expires_on))


class SharedTokens:
    """The token of one login, in one place of a node's memory."""

    def __init__(self, login: tuple[str, ...]) -> None:
        """Find the place.

        Args:
            login: all that the login depends on, secrets too.
        """
        key = hashlib.sha256(repr(login).encode()).digest()
        self._cipher = Fernet(base64.urlsafe_b64encode(key))
        self._name = hashlib.sha256(b"name of " + key).hexdigest()[:32]

    def get(self, lasting: float, ask: Callable[[], Answer]) -> Answer:
        """Return an answer that lasts so many seconds: the one that is there, else the one to `ask` for."""
        folder = _private_folder()
        if folder is None:
            return ask()
        file = folder / self._name
        known = self._read(file)
        if known and known.is_good_for(lasting):
            return known
        with _turn(file.with_suffix(".lock")):
            known = self._read(file)
            if known and known.is_good_for(lasting):
                return known
            answer = ask()
            self._write(file, answer)
        return answer

    def _read(self, file: Path) -> Answer | None:
        try:
            return Answer(**json.loads(self._cipher.decrypt(file.read_bytes())))
        except (OSError, InvalidToken):
            return None

    def _write(self, file: Path, answer: Answer) -> None:
        beside = file.with_suffix(f".{os.getpid()}")
        try:
            beside.touch(mode=0o600)
            beside.write_bytes(self._cipher.encrypt(json.dumps(asdict(answer)).encode()))
            beside.replace(file)
        except OSError:  # the memory is full
            beside.unlink(missing_ok=True)


def _private_folder() -> Path | None:
    """Return this user's folder in the node's memory, None where there can be none."""
    paths = Paths.of_this_node()
    folder = paths.tokens(os.geteuid())
    try:
        if not _is_memory(paths.memory):
            return None
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return None
    private = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077
    return folder if private and status.st_uid == os.geteuid() else None


def _is_memory(path: Path) -> bool:
    """Return whether a tmpfs is mounted there; see `man 5 proc`, mountinfo."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    kinds = [line.partition(" - ")[2].split()[0] for line in mounts if line.split()[4] == str(path)]
    return kinds[-1:] == ["tmpfs"]


@contextmanager
def _turn(lock: Path) -> Iterator[None]:
    """Wait until no other process logs in, or until that takes too long."""
    try:
        file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:  # the memory is full
        yield
        return
    try:
        until = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < until:
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(0.02)
        yield
    finally:
        os.close(file)
