"""Becomes another program that inherits listening sockets; run as a file, with nothing but the standard library.

    python exec_with_sockets.py 7,8 LC_CTYPE PROGRAM ARGUMENT...

``sd_listen_fds(3)`` wants the sockets at 3, 4, … and in ``LISTEN_PID`` the number of the very process that takes them. Only that process
knows its number, and code between fork and exec is not safe in a parent with threads; so a program in between does it, and is replaced.
"""

from __future__ import annotations

import fcntl
import os
import sys

FIRST_DESCRIPTOR = 3


def main(given: str, locale: str, *argv: str) -> None:
    """Move the descriptors into place and execute the program.

    The interpreter itself sets ``LC_CTYPE`` when it finds the C locale (PEP 538), so the value that the program is to have is given.
    """
    numbers = [int(number) for number in given.split(",")]
    beyond = FIRST_DESCRIPTOR + len(numbers)
    # First out of the way of each other; the copies, and the originals beyond, end with this program.
    copies = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, beyond) for number in numbers]
    for number in numbers:
        os.set_inheritable(number, False)
    for place, copy in enumerate(copies, FIRST_DESCRIPTOR):
        os.dup2(copy, place)
    os.environ["LISTEN_PID"] = str(os.getpid())
    os.environ["LC_CTYPE"] = locale
    if not locale:
        del os.environ["LC_CTYPE"]
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        sys.exit(f"{argv[0]} cannot be executed: {error.strerror}")


if __name__ == "__main__":
    main(*sys.argv[1:])
