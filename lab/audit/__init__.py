"""`istio-lab audit`: what every edge of a mesh would do, by the proxies' configuration alone."""
