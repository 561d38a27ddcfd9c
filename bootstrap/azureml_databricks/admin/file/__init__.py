"""The file that an admin writes: its schema, reading it, writing the first one."""
