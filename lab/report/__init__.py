"""The report: one self-contained page of a run, or of several side by side.

Everything in it comes from stored evidence, judged now. It needs no network, no script and no
font but the reader's own.
"""
