"""What clusters are made of: a folder for each set of Go modules, built once, found by content."""
