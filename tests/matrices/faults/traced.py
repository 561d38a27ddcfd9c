"""Runs a command and ends it, with all that it has started, after its Nth change of a file.

`python traced.py N LOG COMMAND...`: as one would by ptrace(2), since no tool of the distribution counts over
several processes. With N = 0 it runs to its end, and LOG has a line a change: program, number of the call.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

# Calls of Linux on x86-64 that change a file, and those that open one.
CHANGES = {
    **{1: "write", 18: "pwrite64", 20: "writev", 74: "fsync", 77: "ftruncate", 82: "rename", 83: "mkdir"},
    **{84: "rmdir", 86: "link", 87: "unlink", 88: "symlink", 90: "chmod", 91: "fchmod", 92: "chown"},
    **{93: "fchown", 94: "lchown", 258: "mkdirat", 260: "fchownat", 263: "unlinkat", 264: "renameat"},
    **{265: "linkat", 266: "symlinkat", 268: "fchmodat", 280: "utimensat", 316: "renameat2"},
    **{326: "copy_file_range"},
}
_OPENS = {2: 1, 257: 2}  # open, openat, by which argument has the flags
_TRACEME, _SYSCALL, _SETOPTIONS, _GET_SYSCALL_INFO = 0, 24, 0x4200, 0x420E
# Stops at calls are marked; forks are traced, too; who is traced ends with this process.
_OPTIONS = 0x1 | 0x2 | 0x4 | 0x8 | 0x100000
_ENTRY, _ALL = 1, 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class _Info(ctypes.Structure):
    """What `PTRACE_GET_SYSCALL_INFO` gives: ptrace(2)."""

    _fields_ = (
        ("op", ctypes.c_uint8),
        ("_", ctypes.c_uint8 * 3),
        ("arch", ctypes.c_uint32),
        ("ip", ctypes.c_uint64),
        ("sp", ctypes.c_uint64),
        ("nr", ctypes.c_uint64),
        ("args", ctypes.c_uint64 * 6),
    )


def main() -> int:
    """Return the command's exit code; 137 where it was ended."""
    limit, log, command = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    first = os.fork()
    if not first:
        _ptrace(_TRACEME, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        os.execvp(command[0], command)
    os.waitpid(first, 0)
    _ptrace(_SETOPTIONS, first, data=_OPTIONS)
    _ptrace(_SYSCALL, first)
    seen: list[str] = []
    entered: dict[int, str] = {}
    while True:
        process, status = os.waitpid(-1, _ALL)
        if not os.WIFSTOPPED(status):
            if process == first:
                log.write_text("".join(f"{line}\n" for line in seen))
                return os.waitstatus_to_exitcode(status)
            continue
        stopped = os.WSTOPSIG(status)
        passed_on = 0
        if stopped == signal.SIGTRAP | 0x80:
            if done := _change(process, entered):
                seen.append(done)
            if limit and len(seen) == limit:
                os._exit(137)
        elif stopped not in (signal.SIGTRAP, signal.SIGSTOP):
            passed_on = stopped
        _ptrace(_SYSCALL, process, data=passed_on)


def _change(process: int, entered: dict[int, str]) -> str:
    """Return the change that a process has just made; empty for none."""
    info = _Info()
    _ptrace(_GET_SYSCALL_INFO, process, ctypes.sizeof(info), ctypes.addressof(info))
    if info.op != _ENTRY:
        return entered.pop(process, "")
    name = CHANGES.get(info.nr, "")
    if info.nr in _OPENS and info.args[_OPENS[info.nr]] & (os.O_CREAT | os.O_TRUNC):
        name = "open"
    if name:
        entered[process] = f"{Path(f'/proc/{process}/comm').read_text().strip()} {name}"
    return ""


def _ptrace(request: int, process: int, address: int = 0, data: int = 0) -> None:
    # A process that has ended meanwhile is told by its end.
    _libc.ptrace(*map(ctypes.c_long, (request, process, address, data)))


if __name__ == "__main__":
    sys.exit(main())
