"""What notebooks call, and how they are executed."""
