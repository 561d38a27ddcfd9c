"""A Python that has imported what takes seconds, and forks itself for each program that it is to run.

`preloaded.py` starts it as `python -c SOURCE SOCKET MODULE...`, on a node or in an environment of which only
the standard library is known. It has logged in nowhere and made no store: what runs in a fork begins as in a
new interpreter, but for the imports, and ends as one does, but for the freeing of all that was imported: that
copies each page of it, and takes longer than most of what is tested.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pwd
import select
import signal
import socket
import sys
import threading
import warnings
from types import CodeType, ModuleType, TracebackType
from typing import Any

# What the program ends with, once it is known.
_exit_code: int | None = None


def serve(entrance: socket.socket, modules: list[str]) -> CodeType | None:
    """Fork for each request; return, in a fork, what it is to run, and None when nobody can ask any more.

    A request is JSON, with four files: standard input, output and error, and one for the process's number
    and, once it has ended, its exit code.
    """
    for module in modules:
        importlib.import_module(module)
    assert threading.active_count() == 1, "a fork would lack the other threads"
    gc.freeze()
    entrance.send(b"ready")
    running: dict[int, tuple[int, int]] = {}
    while True:
        ready = select.select([entrance.fileno(), *running], [], [])[0]
        for ended in running.keys() & set(ready):
            process, status = running.pop(ended)
            os.write(status, b"%d\n" % os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
            _close(ended, status)
        if entrance.fileno() not in ready:
            continue
        request, files, _, _ = socket.recv_fds(entrance, 1 << 20, 4)
        if not request:
            return None
        process = os.fork()
        if not process:
            entrance.close()
            _close(*running, *(status for _, status in running.values()), files[3])
            return _become(json.loads(request), files[:3])
        os.write(files[3], b"%d\n" % process)
        running[os.pidfd_open(process)] = (process, files[3])
        _close(*files[:3])


def _close(*files: int) -> None:
    for file in files:
        os.close(file)


def _become(request: dict[str, Any], files: list[int]) -> CodeType:
    """Make this process what a new one would be, and return what it runs."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, file in enumerate(files):
        os.dup2(file, number)
    _close(*files)
    # Anew: whether they are a terminal decides when they are flushed.
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    if request["clean"]:
        os.environ.clear()
    os.environ.update(request["env"])
    if request["user"]:
        account = pwd.getpwnam(request["user"])
        os.initgroups(account.pw_name, account.pw_gid)
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
    os.chdir(request["cwd"])
    sys.argv = request["argv"]
    if path := request["env"].get("PYTHONPATH"):
        sys.path[1:1] = path.split(os.pathsep)
    return compile(request["code"], "<string>", "exec")


def be_main(code: CodeType) -> None:
    """Run it as `python -c` does: in a `__main__` with nothing in it, and to the interpreter's own end."""
    global _exit_code

    def told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        while trace and trace.tb_frame.f_code is not code:
            trace = trace.tb_next
        sys.__excepthook__(kind, error.with_traceback(trace), trace)

    # A traceback has nothing of this file.
    sys.excepthook = told
    main = sys.modules["__main__"] = ModuleType("__main__")
    try:
        exec(code, main.__dict__)
        _exit_code = 0
    except BaseException as error:
        _exit_code = _known_exit_code(error)
        raise


def _known_exit_code(error: BaseException) -> int | None:
    """Return what Python exits with, or None where it does more than to exit."""
    if isinstance(error, SystemExit):
        return error.code or 0 if isinstance(error.code, (int, type(None))) else None
    return 1 if isinstance(error, Exception) else None


def end() -> None:
    """End at once, after all that others have asked for at the end and but for the freeing of memory."""
    if _exit_code is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_exit_code)


if __name__ == "__main__":
    # Who comes first is called last.
    atexit.register(end)
    # Its own warnings are nobody's.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        asked = serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
    if asked:
        be_main(asked)
