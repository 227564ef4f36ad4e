"""A live run is recorded here; nothing is concluded."""
