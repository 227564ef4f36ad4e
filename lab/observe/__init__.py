"""Observes any edge of a cluster: one call between a user's own pods, seen in every plane."""
