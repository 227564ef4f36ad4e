"""`istio-lab audit FOLDER` of manifests: a mesh that nobody has started yet."""
