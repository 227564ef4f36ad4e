"""The lab's own workloads: images, manifests, certificates, and the probes inside pods."""
