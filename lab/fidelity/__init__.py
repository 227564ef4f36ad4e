"""How alike two kinds of cluster make the same sidecars: recorded, laid side by side, explained.

On each cluster one world is deployed with a workload of every sort. Names and addresses that a
cluster gives out are put in words, so that only a difference between the clusters is one.
"""

from lab.fidelity.compare import compare, text
from lab.fidelity.record import FOLDER, record

__all__ = ["FOLDER", "compare", "record", "text"]
