"""Looks for secrets in whatever was written, sent or shown: raw, URL-encoded and in base64."""

from __future__ import annotations

import base64
import gzip
import io
import os
import re
import stat
import tarfile
import threading
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

# Tokens begin alike: what does not have this much of one has none.
_BEGINNING = 12
# Rounds in which a new process is looked at.
_UNTIL_IT_RUNS = 10


class SecretSearch:
    """What is looked for, how many places were looked at, and where it was found.

    Args:
        secrets: by what they are called.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self.secrets = len(secrets)
        self.places = 0
        self.found: dict[str, set[str]] = {}
        self._forms: dict[bytes, dict[bytes, str]] = {}
        for name, secret in secrets.items():
            for form in _forms(secret):
                self._forms.setdefault(form[:_BEGINNING], {})[form] = name

    def look(self, place: str, content: bytes | str) -> None:
        """Look at something; what is packed in it counts as places of its own."""
        data = content.encode() if isinstance(content, str) else content
        self.places += 1
        # Base64 may be in lines of 64 or 76 letters.
        in_one_line = data.translate(None, b"\r\n")
        for beginning, forms in self._forms.items():
            if beginning not in in_one_line:
                continue
            for form, name in forms.items():
                if form in in_one_line:
                    self.found.setdefault(place, set()).add(name)
        for name, inside in _unpacked(data):
            self.look(f"{place}!{name}", inside)

    def look_at_file(self, file: Path, place: str | None = None) -> None:
        """Look at a file, its name, and where it leads if it is a link; `place` is what it is called."""
        place = place or str(file)
        mode = file.lstat().st_mode
        self.look(f"the name of {place}", os.fsencode(file.name))
        if stat.S_ISLNK(mode):
            self.look(place, os.fsencode(file.readlink()))
        elif stat.S_ISREG(mode):
            self.look(place, file.read_bytes())

    def look_below(self, folder: Path) -> None:
        """Look at all that is below a folder, but not at what is mounted there."""
        for path, folders, files in os.walk(folder):
            folders[:] = [name for name in folders if not os.path.ismount(f"{path}/{name}")]
            for name in (*folders, *files):
                with suppress(FileNotFoundError):  # of a process that runs beside
                    self.look_at_file(Path(path, name))

    def look_at_new(self, folder: Path, *, since: float, but: str) -> None:
        """Look at what was put into a folder since then, unless its name matches `but`."""
        for it in folder.iterdir():
            with suppress(FileNotFoundError):
                if it.lstat().st_ctime >= since and not re.match(but, it.name) and not it.is_mount():
                    self.look_at_file(it)
                    self.look_below(it)


class Arguments:
    """Keeps, from ``__enter__`` to ``__exit__``, the arguments of every process that is seen to run."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._round = threading.Condition()
        self._rounds = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Arguments:
        self._thread.start()
        return self

    def __exit__(self, *ended: object) -> None:
        self._end.set()
        self._thread.join()

    def wait_for_a_round(self) -> None:
        """Return once all that runs now was seen."""
        with self._round:
            until = self._rounds + 2
            self._round.wait_for(lambda: self._rounds >= until)

    def _watch(self) -> None:
        rounds: Counter[str] = Counter()
        while not self._end.wait(0.02):
            running = [name for name in os.listdir("/proc") if name.isdigit()]
            rounds = Counter({name: rounds[name] + 1 for name in running})
            # A process has another's arguments until it runs its own program.
            for name in (name for name, times in rounds.items() if times <= _UNTIL_IT_RUNS):
                with suppress(OSError):  # it has ended
                    self.seen.add(Path(f"/proc/{name}/cmdline").read_bytes())
            with self._round:
                self._rounds += 1
                self._round.notify_all()


def _forms(secret: str) -> Iterator[bytes]:
    raw = secret.encode()
    yield raw
    every = re.sub(r"\W|_", lambda found: f"%{ord(found[0]):02X}", secret)
    for encoded in (quote(secret, safe=""), quote(secret), every):
        yield encoded.encode()
        yield re.sub("%..", lambda found: found[0].lower(), encoded).encode()
    for before in range(3):
        # Only what no neighbour has a part in: so it is found in whatever it was encoded with, padded or not.
        whole = (before + len(raw)) * 8 // 6
        core = slice((before * 8 + 5) // 6, whole)
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(before) + raw)[core]


def _unpacked(data: bytes) -> Iterator[tuple[str, bytes]]:
    if data.startswith(b"\x1f\x8b"):
        try:
            inside = gzip.decompress(data)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            return
        yield "unpacked", inside
    elif data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for member in archive.getmembers():
                if file := archive.extractfile(member):
                    yield member.name, file.read()
    elif data.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            for name in packed.namelist():
                yield name, packed.read(name)
