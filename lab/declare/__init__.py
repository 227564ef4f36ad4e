"""What a failure is written with."""
