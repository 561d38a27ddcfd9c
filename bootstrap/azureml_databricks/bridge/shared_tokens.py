"""What a node knows of a login: who comes first logs in, the user's other processes take what came of it.

A cluster's executors start a Python worker for each core, and each would log in by itself. The token lies in
memory (`/dev/shm`), in a folder and a file that only this user can open, encrypted with a key that is made of
the whole login: a process that has not the secret itself has no use for it. Beside the token lies when to ask
again, and why the last try failed. Where there is no such place, each process logs in for itself.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple

from cryptography.fernet import Fernet, InvalidToken

from azureml_databricks.node.locks import held
from azureml_databricks.node.paths import Paths

# Of the fifteen that are promised: for another's login, and until all is over.
_PATIENCE_SECONDS = 10.0
_ALL_SECONDS = 14.0
# As azure-identity has it; of Unity Catalog's it is not known, and each request to Azure ML asks for a token.
_RENEWED_BEFORE_SECONDS = 300
# Of a token that has expired as it comes: by a clock of the node's that is wrong, so that Azure may well take
# it, and nobody is asked for another at each request.
_LEAST_SECONDS = 30


class Token(NamedTuple):
    """What azure-core has as `AccessToken`, without the import of azure-core.

    Attributes:
        token: the token itself.
        expires_on: when it no longer counts, in seconds since 1970.
    """

    token: str
    expires_on: int


@dataclass(frozen=True)
class Answer:
    """What is known of a login. Times that begin with `at` are of a clock that nobody puts back or forward.

    Attributes:
        token: the last one, empty for none.
        expires_on: when it no longer counts, in seconds since 1970.
        at_end: the same.
        at_next: nobody is asked before.
        failure: why the last try failed, in one line; empty if it did not.
        told_to_wait: whether it was for being asked too often.
    """

    token: str = ""
    expires_on: float = 0.0
    at_end: float = 0.0
    at_next: float = 0.0
    failure: str = ""
    told_to_wait: bool = False

    @classmethod
    def of(cls, token: Token) -> Answer:
        """Return what is known once a token has come."""
        lives = token.expires_on - time.time()
        if lives <= 0:
            lives = _LEAST_SECONDS
        next_in = max(lives - _RENEWED_BEFORE_SECONDS, lives / 2)
        return cls(token.token, time.time() + lives, _clock() + lives, _clock() + next_in)

    def __repr__(self) -> str:
        return f"Answer(failure={self.failure!r})"

    def with_failure(self, failure: str, seconds: float, *, told_to_wait: bool) -> Answer:
        """Return what is known after a try that failed, for so long: a token that lives stays."""
        known = self if self.lives else Answer()
        at_next = _clock() + seconds
        if known.lives and not told_to_wait:
            at_next = min(at_next, known.at_end)
        return replace(known, at_next=at_next, failure=failure, told_to_wait=told_to_wait)

    @property
    def lives(self) -> bool:
        """Whether the token counts: by both clocks, since a node's is put right while it runs."""
        return bool(self.token) and self.expires_on > time.time() and self.at_end > _clock()

    def is_all(self, *, anew: bool) -> bool:
        """Return whether nobody is to be asked now; `anew` if the token that is known will not do."""
        if anew:
            return self.told_to_wait and self.at_next > _clock()
        return (self.lives or bool(self.failure)) and self.at_next > _clock()

    @property
    def is_as_written(self) -> bool:
        """Whether each of its values is what this version writes there."""
        pairs = [(getattr(self, field.name), field.default) for field in fields(self)]
        return all(
            isinstance(value, int | float) if type(like) is float else type(value) is type(like)
            for value, like in pairs
        )

    @property
    def access_token(self) -> Token:
        """The token as azure-core has it."""
        return Token(self.token, int(self.expires_on))


class SharedTokens:
    """The token of one login, in one place of a node's memory."""

    def __init__(self, login: tuple[str, ...], *, alone: bool = False) -> None:
        """Find the place.

        Args:
            login: all that the login depends on, secrets too.
            alone: whether nobody else may have what comes of it.
        """
        key = hashlib.sha256(repr(login).encode()).digest()
        self._cipher = Fernet(base64.urlsafe_b64encode(key))
        # Versions that write something else have a file of their own.
        form = repr([field.name for field in fields(Answer)]).encode()
        self._name = hashlib.sha256(b"name of " + key + form).hexdigest()[:32]
        self._alone = alone
        self._known = Answer()
        self._locks: dict[int, threading.Lock] = {}

    def get(self, ask: Callable[[Answer, float], Answer], *, anew: bool = False) -> Answer:
        """Return what is known, and ask if it is time to.

        Args:
            ask: returns what is known then, given what was and how many seconds it may take.
            anew: whether to ask in any case, unless Azure wants the node to wait.
        """
        if self._known.is_all(anew=anew):
            return self._known
        begun = time.monotonic()
        folder = None if self._alone else _private_folder()
        known = self._look(folder)
        # While a token lives nobody waits for who renews it.
        is_urgent = anew or not known.lives
        with self._turn(folder, _PATIENCE_SECONDS if is_urgent else 0) as ours:
            known = self._look(folder)
            if not known.is_all(anew=anew) and (ours or is_urgent):
                known = ask(known, begun + _ALL_SECONDS - time.monotonic())
                if folder:
                    self._write(folder / self._name, known)
            self._known = known
        return known

    def _look(self, folder: Path | None) -> Answer:
        """Return the better of what this process knows and what the node does."""
        answers = (self._known, (folder and self._read(folder / self._name)) or Answer())
        return max(answers, key=lambda answer: (answer.lives, answer.at_next))

    @contextmanager
    def _turn(self, folder: Path | None, seconds: float) -> Iterator[bool]:
        """Wait until no other thread or process logs in; yield whether none does, or it took too long."""
        until = time.monotonic() + seconds
        # A fork has none of the threads that hold its parent's.
        lock = self._locks.setdefault(os.getpid(), threading.Lock())
        ours = lock.acquire(timeout=seconds)
        try:
            if folder is None:
                yield ours
                return
            with _lock_of(folder / f"{self._name}.lock", until - time.monotonic()) as ours_alone:
                yield ours and ours_alone
        finally:
            if ours:
                lock.release()

    def _read(self, file: Path) -> Answer | None:
        try:
            answer = Answer(**json.loads(self._cipher.decrypt(file.read_bytes())))
        except (OSError, InvalidToken, TypeError, ValueError):
            return None
        return answer if answer.is_as_written else None

    def _write(self, file: Path, answer: Answer) -> None:
        beside = file.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        try:
            beside.touch(mode=0o600)
            beside.write_bytes(self._cipher.encrypt(json.dumps(asdict(answer)).encode()))
            beside.replace(file)
        except OSError:  # the memory is full, or can only be read
            with suppress(OSError):
                beside.unlink()


def _clock() -> float:
    """Return a time that all processes of a node have, and that goes on while it sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@contextmanager
def _lock_of(path: Path, seconds: float) -> Iterator[bool]:
    with ExitStack() as stack:
        try:
            ours = stack.enter_context(held(path, seconds))
        except OSError:  # the memory is full, or can only be read
            ours = True
        yield ours


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
