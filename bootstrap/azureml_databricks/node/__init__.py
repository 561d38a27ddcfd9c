"""What a cluster node runs: the standard library only, in every Python process and as root at install."""
