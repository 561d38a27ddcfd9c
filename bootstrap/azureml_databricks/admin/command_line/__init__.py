"""The commands as an admin types them: options, help, exit statuses; what they do is in `commands`."""
