"""Inside the cluster's namespaces: the control plane, the mesh, and the way in."""
