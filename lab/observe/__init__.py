"""Any edge of a cluster: one call between somebody's own pods, seen through every plane."""
