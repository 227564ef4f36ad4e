"""`istio-lab audit --with`: the audit of a mesh after manifests are applied."""
