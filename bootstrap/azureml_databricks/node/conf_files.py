"""The files in which a cluster's Spark conf may lie before there is a session; none of them is promised.

`node install` compiles it into what every Python runs first: see `start.py`, whose rules hold here too.
"""

import posix


def spark_confs() -> "list[tuple[bytes, bytes]]":
    """Return the files that speak of us in the cluster's Spark conf, path and content, the first counts most.

    Where they may be is seen, not promised: Spark's own file, the one that is there when Databricks starts
    Spark's daemons, and those by which init scripts give the driver its conf. Whoever uses what is in them
    has to see first who wrote them.
    """
    folder = posix.environ.get(b"SPARK_CONF_DIR", b"/databricks/spark/conf")
    paths = [folder + b"/spark-defaults.conf", b"/tmp/custom-spark.conf"]
    folder = b"/databricks/driver/conf/"
    if posix.access(folder, posix.R_OK):
        paths += [folder + name for name in sorted(posix.listdir(folder)) if name[-5:] == b".conf"]
    found = []
    for path in paths:
        # Asked first, since raising an error costs more.
        if posix.access(path, posix.R_OK):
            # Somebody's pipe in /tmp would else be waited for.
            file = posix.open(path, posix.O_RDONLY | posix.O_NONBLOCK)
            try:
                content = posix.read(file, 1_000_000)
            except OSError:  # a folder
                content = b""
            posix.close(file)
            if b"spark.azureml." in content:
                found.append((path, content))
    return found
