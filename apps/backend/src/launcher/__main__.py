"""``python -m launcher`` and the ``launcher`` command."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line of this process and return its exit code."""
    from launcher.cli import main as run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
