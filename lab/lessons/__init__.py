"""Lessons: a broken mesh, a report of a symptom, and a repair that is checked on the wire."""
