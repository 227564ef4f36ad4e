"""From captured bytes to facts."""
