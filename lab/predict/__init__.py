"""`istio-lab predict`: what a call would do, by the proxies' configuration alone."""
