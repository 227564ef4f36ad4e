"""A run as one archive to hand on: `istio-lab bundle`, and `judge` of what it wrote.

RUN/...                     the run's own files; text without secrets, captures as they are
RUN/junit.xml               what today's judge says of the packed evidence,
RUN/ctrf-report.json        once more (https://ctrf.io),
RUN/in-toto-statement.json  and as an in-toto Statement, unsigned, with each file's sha256
RUN/ro-crate-metadata.json  what the run is: when, with what, how to repeat it (RO-Crate 1.1)
RUN/manifest-sha256.txt     sha256 of every other file; `sha256sum -c` reads it
"""

from __future__ import annotations

JUNIT = "junit.xml"
CTRF = "ctrf-report.json"
CRATE = "ro-crate-metadata.json"
STATEMENT = "in-toto-statement.json"
MANIFEST = "manifest-sha256.txt"
