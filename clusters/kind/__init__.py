"""A real kind cluster: its engine, its images, itself."""
