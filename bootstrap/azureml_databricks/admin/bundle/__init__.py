"""What is uploaded: an archive for each runtime, the init script, and what `verify` runs."""
