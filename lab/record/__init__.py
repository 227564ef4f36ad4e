"""Records a live run: worlds, calls, packets, logs, counters. Nothing is concluded here."""
