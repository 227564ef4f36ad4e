"""Compares the sidecars that two kinds of cluster make of the same workloads.

On each cluster one world is deployed with a workload of every sort. Names and addresses that a
cluster assigns are replaced by words, so that only differences between the clusters remain. Each
difference is explained in a table, or the comparison fails.
"""

from lab.fidelity.compare import compare, text
from lab.fidelity.record import FOLDER, record

__all__ = ["FOLDER", "compare", "record", "text"]
