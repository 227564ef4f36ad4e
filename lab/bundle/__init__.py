"""Packs a run as one archive to hand on (`istio-lab bundle`), and unpacks it to be judged.

RUN/...                     the run's own files; text without secrets, captures as they are
RUN/junit.xml               verdicts on the packed evidence, as JUnit XML,
RUN/ctrf-report.json        as CTRF (https://ctrf.io),
RUN/in-toto-statement.json  and as an unsigned in-toto Statement, with each file's sha256
RUN/ro-crate-metadata.json  when and with what the run was made, how to repeat it (RO-Crate 1.1)
RUN/manifest-sha256.txt     sha256 of every other file, for `sha256sum -c`
"""

from __future__ import annotations

JUNIT = "junit.xml"
CTRF = "ctrf-report.json"
CRATE = "ro-crate-metadata.json"
STATEMENT = "in-toto-statement.json"
MANIFEST = "manifest-sha256.txt"
