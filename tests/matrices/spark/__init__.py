"""What holds on a Spark cluster: each file boots one or two, of a driver and two workers (`make spark`).

They are apart from the other tests since each cluster is five JVMs.
"""
