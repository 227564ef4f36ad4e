"""What runs in the worlds: images, manifests, and the probes inside pods."""
