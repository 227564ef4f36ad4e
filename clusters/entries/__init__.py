"""What differs between kinds of cluster: one file for each, one class to fill in."""
