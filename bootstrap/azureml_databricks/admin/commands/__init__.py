"""What the commands do, and how it is told."""
