"""What an admin runs, on a machine of their own or in CI. No node imports it."""
