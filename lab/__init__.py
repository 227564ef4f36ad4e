"""The Istio failure lab: reproduce what the post documents, and prove it on the wire."""
