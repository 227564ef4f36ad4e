"""A real cluster with real Istio as plain processes in namespaces: no Docker, no root needed."""
