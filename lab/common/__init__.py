"""What both sides use: errors, waiting, shell, signals, redaction, files, text."""
