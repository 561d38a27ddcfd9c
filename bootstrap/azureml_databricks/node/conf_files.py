"""The files in which a cluster's Spark conf may lie before there is a session; none of them is promised.

`node install` compiles it into what every Python runs first: see `start.py`, whose rules hold here too.
"""

import posix

_REGULAR = 0o100000
_KIND = 0o170000
_OTHERS_WRITE = 0o022
_LARGEST = 1_000_000


def spark_confs() -> "list[tuple[bytes, bytes]]":
    """Return the files that speak of us in the cluster's Spark conf, path and content, the first counts most.

    Where they may be is seen, not promised: Spark's own file, the one that is there when Databricks starts
    Spark's daemons, and those by which init scripts give the driver its conf. Only files that nobody but root
    or this process's user can have written count, since everybody can write to /tmp.
    """
    folder = posix.environ.get(b"SPARK_CONF_DIR", b"/databricks/spark/conf")
    paths = [folder + b"/spark-defaults.conf", b"/tmp/custom-spark.conf"]
    folder = b"/databricks/driver/conf/"
    if posix.access(folder, posix.R_OK):
        for name in sorted(posix.listdir(folder)):
            if name[-5:] == b".conf":
                paths.append(folder + name)
    found = []
    for path in paths:
        # Asked first, since raising an error costs more.
        if posix.access(path, posix.R_OK):
            try:
                content = _content(path)
            except OSError:  # a socket, a link, or gone by now
                continue
            if b"spark.azureml." in content:
                found.append((path, content))
    return found


def _content(path: bytes) -> bytes:
    """Return what is in a file, nothing where it is not to be trusted."""
    # What was looked at is what is read; and somebody's pipe in /tmp is not waited for.
    file = posix.open(path, posix.O_RDONLY | posix.O_NONBLOCK | posix.O_NOFOLLOW | posix.O_CLOEXEC)
    try:
        status = posix.fstat(file)
        trusted = status.st_uid in (0, posix.geteuid()) and not status.st_mode & _OTHERS_WRITE
        if status.st_mode & _KIND != _REGULAR or status.st_size > _LARGEST or not trusted:
            return b""
        return posix.read(file, _LARGEST)
    finally:
        posix.close(file)
