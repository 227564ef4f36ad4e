"""The command line: a file for each command, with `add(parser)` and `run(options)`.

`registry.GROUPS` names them all; `line` finds the one that was typed and turns errors into
sentences.
"""
