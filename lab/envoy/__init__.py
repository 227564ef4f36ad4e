"""Proxies' configuration, read and walked for one call."""
