"""Runs blocks of Python, one after the other in one namespace: the other end of `Session`.

A block comes as one line of JSON on stdin; when it has run, the mark given on the command line
is printed. Tracebacks name the document and its line.
"""

from __future__ import annotations

import json
import sys
import traceback
from types import ModuleType


def main(mark: str) -> None:
    """Serves until stdin ends."""
    sys.path[0] = ""  # the reader's folder, as if this were Python's own prompt
    namespace = ModuleType("__main__")
    sys.modules["__main__"] = namespace
    for request in sys.stdin:
        file, line, source = json.loads(request)
        try:
            code = compile("\n" * (line - 1) + source, file, "exec")
            exec(code, namespace.__dict__)
        except Exception:
            traceback.print_exc()
        sys.stderr.flush()
        sys.stdout.write(f"{mark}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
