"""Putting an unpacked bundle into service on this node, and taking it out."""

from __future__ import annotations

import hashlib
import json
import os
import py_compile
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from azureml_databricks.node import hooks, processes, program, variables
from azureml_databricks.node.ledger import BEGIN, Ledger
from azureml_databricks.node.locks import held
from azureml_databricks.node.paths import Paths
from azureml_databricks.settings import TABLE, SettingError, Settings, Value, check_of_file

_COMMAND = f"""\
#!/bin/sh
{BEGIN.decode()} removed by: azureml-databricks node uninstall
if [ ! -e '{{current}}' ]; then
  echo 'azureml-databricks: no bundle is in service: {{current}} leads nowhere; restart the cluster,' \\
    'and see /databricks/init_scripts/*.stderr.log' >&2
  exit 1
fi
exec '{{python}}' -I -c 'import os, sys
sys.path.insert(0, os.readlink("{{current}}"))
from azureml_databricks.__main__ import main
del sys.path[0] # what it imports is what any other process would
main()' "$@"
"""
_NODE = "azureml_databricks/node"
# Far longer than a run takes.
_PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Knowledge:
    """What a node knows at install time.

    Attributes:
        values: by setting name.
        file_problem: what is wrong with the settings file as such, empty for nothing.
    """

    values: dict[str, Value]
    file_problem: str

    @property
    def settings(self) -> Settings:
        """The settings of a process that has no variables of its own."""
        return Settings({}, self.values, self.file_problem)


def install(paths: Paths, unpacked: Path, sha256: str, settings_file: Path | None) -> Settings:
    """Put the bundle at `unpacked`, whose archive had `sha256`, into service.

    Safe to repeat, to run twice at once and to be killed: a release is complete before it has its name,
    and the `current` link is replaced in one step. A wrong setting is no error here: the bundle goes into
    service to tell of it, and the settings that are returned say it.

    Raises:
        OSError: a file cannot be read or written.
    """
    with _locked(paths):
        _sweep(paths)
        known = _know(settings_file, _environment_of_the_script())
        release = _settle(paths, unpacked, sha256, known)
        ledger = Ledger(paths.ledger)
        command = _COMMAND.format(python=sys.executable, current=paths.current)
        ledger.write(paths.command, command.encode(), mode=0o755)
        hooks.install(paths, ledger)
        # Last: while the link leads nowhere the hooks do nothing, and the script knows that we failed.
        _point(paths.current, release)
        if not pythons_of_older_releases(paths):
            for older in older_releases(paths):
                # The new one is in service: what cannot be removed is no failure of that.
                with suppress(OSError):
                    _remove(paths, older)
    return known.settings


def uninstall(paths: Paths) -> list[str]:
    """Take everything out, and return a line for each file that somebody else has changed since.

    Raises:
        OSError: a file cannot be written.
    """
    with _locked(paths):
        left = Ledger(paths.ledger).undo()
        for folder in (paths.ledger, paths.releases):
            if folder.is_dir():
                _remove(paths, folder)
        shutil.rmtree(paths.home)
        tokens = [str(folder) for folder in paths.memory.glob(paths.tokens("*").name)]
        # Anybody can put something else there under this name: a link, or folders deeper than Python goes.
        subprocess.run(["rm", "-rf", "--", *tokens], stderr=subprocess.DEVNULL, check=False)
    return left


def older_releases(paths: Paths) -> list[Path]:
    """Return the releases that no new process uses."""
    current = paths.current.resolve()
    return [release for release in sorted(paths.releases.iterdir()) if release != current]


def pythons_of_older_releases(paths: Paths) -> list[int]:
    """Return the numbers of the processes that may use one: `current` led to it when they started."""
    since = time.time() - paths.current.lstat().st_mtime
    return processes.pythons_older_than(since)


def _environment_of_the_script() -> dict[str, str]:
    """Return the variables as this process got them: `os.environ` has what our own hook added since."""
    pairs = Path("/proc/self/environ").read_bytes().decode(errors="surrogateescape").split("\0")
    return dict(pair.partition("=")[::2] for pair in pairs if pair)


def _know(settings_file: Path | None, environ: Mapping[str, str]) -> Knowledge:
    """Gather what processes may not have in their variables."""
    values: dict[str, Value] = {}
    file_problem = ""
    if settings_file is not None:
        try:
            values = _read(settings_file)
        except SettingError as wrong:
            file_problem = str(wrong)
    for setting in TABLE:
        # Not the service principal's: what came from a secret scope is in no file of ours.
        text = environ.get(setting.variable, "")
        if text and setting.variable.startswith("AZUREML_"):
            values[setting.name] = Value(text, setting.variable, "a variable of the cluster")
    return Knowledge(values, file_problem)


def _read(settings_file: Path) -> dict[str, Value]:
    origin = f"in {settings_file}"
    try:
        texts = json.loads(settings_file.read_text(encoding="utf-8"))
        if not isinstance(texts, dict) or not all(map(_is_text, texts.values())):
            raise ValueError("names and texts are expected")
    except (OSError, ValueError) as wrong:
        raise SettingError(
            f"{settings_file} is not what `azureml-databricks bundle` wrote ({wrong}): upload it again"
        ) from None
    for name, text in texts.items():
        check_of_file(name, origin, text)
    return {name: Value(text, name, origin) for name, text in texts.items()}


def _is_text(value: object) -> bool:
    """Return whether `value` can be a variable's text."""
    return isinstance(value, str) and "\0" not in value and value.isprintable()


def _settle(paths: Paths, unpacked: Path, sha256: str, known: Knowledge) -> Path:
    """Move the bundle to its name among the releases, with what the node knows laid down in it."""
    plain = {name: (value.text, value.key, value.origin) for name, value in known.values.items()}
    laid_down = f"VALUES = {plain!r}\nFILE_PROBLEM = {known.file_problem!r}\n"
    identity = hashlib.sha256(f"{sha256}\n{sys.version}\n{laid_down}".encode()).hexdigest()
    release = paths.releases / identity[:12]
    if release.exists():
        shutil.rmtree(unpacked)
        return release
    _lay_down(unpacked / _NODE / "laid_down.py", laid_down)
    started = program.source(_call_of_run(release, _top_of(unpacked), known))
    _lay_down(unpacked / _NODE / "_start.py", started, compiled=unpacked / _NODE / "_start.pyc")
    release.parent.mkdir(exist_ok=True)
    os.rename(unpacked, release)
    return release


def _top_of(unpacked: Path) -> str:
    return f" {' '.join(sorted({path.name.partition('.')[0] for path in unpacked.iterdir()}))} "


def _call_of_run(release: Path, names: str, known: Knowledge) -> str:
    settings = known.settings
    wanted = variables.wanted(settings, known.values)
    texts = {setting.variable: settings[setting.name] for setting in TABLE if setting.shapes_uri}
    if wanted:
        texts.update((name, text) for name, (text, _) in wanted.overrides.items() if name in texts)
    as_given = {os.fsencode(name): os.fsencode(text) for name, text in texts.items()}
    return f"run({str(release)!r}, {names!r}, {as_given!r}, {wanted.encoded() if wanted else None!r})"


def _lay_down(path: Path, source: str, compiled: Path | None = None) -> None:
    path.write_text(source, encoding="utf-8")
    py_compile.compile(
        str(path),
        cfile=str(compiled) if compiled else None,
        dfile=path.name,
        doraise=True,
        optimize=2 if compiled else -1,
        # Nobody edits it, so no start needs to look whether somebody did.
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def _point(link: Path, release: Path) -> None:
    # Its time tells since when new processes have this release.
    if link.is_symlink() and link.readlink() == release:
        return
    beside = link.with_name(f".{link.name}")
    beside.unlink(missing_ok=True)
    beside.symlink_to(release)
    os.replace(beside, link)


@contextmanager
def _locked(paths: Paths) -> Iterator[None]:
    """Wait for another run on this node: the script may be attached twice.

    Raises:
        TimeoutError: the other one does not end.
    """
    paths.home.mkdir(parents=True, exist_ok=True)
    path = paths.home / "lock"
    with held(path, _PATIENCE_SECONDS) as ours:
        if not ours:
            raise TimeoutError(
                f"{path} is held by another process since {_PATIENCE_SECONDS} seconds: end the one that "
                f"`fuser {path}` names, and start the cluster again"
            )
        yield


def _sweep(paths: Paths) -> None:
    """Remove what killed runs of the script left: `unpacking.<pid>` of a process that is no more."""
    for folder in paths.home.glob("unpacking.*"):
        # One that has ended keeps its number, and no program, until somebody asks how it ended.
        if not Path("/proc", folder.suffix[1:], "exe").exists():
            shutil.rmtree(folder)


def _remove(paths: Paths, folder: Path) -> None:
    """Remove a folder whose name says that it is complete: half of it must not have that name."""
    renamed = paths.home / f"unpacking.removed.{os.getpid()}"
    os.rename(folder, renamed)
    shutil.rmtree(renamed)
