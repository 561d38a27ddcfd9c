"""What an admin types, and what is answered; what a command does is in `commands`."""
