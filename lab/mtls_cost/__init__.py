"""What mTLS costs: one load over the variants of an edge, in turn. No verdict is reached."""
