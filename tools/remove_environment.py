"""Removes the virtual environment $VENV, by default .venv, if `make setup` made it there, and nothing else.

Only the standard library, and only syntax that an old python3 can read, like tools/setup_environment.py.
"""

import os
import shutil
import sys

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def reason_to_keep(folder):
    """Why a folder is not removed, or None."""
    stamps = os.path.join(folder, ".setup")  # setup_environment.py makes it before anything else
    if os.path.islink(folder) or not os.path.isdir(folder):
        return "it is not a folder"
    if os.path.islink(stamps) or not os.path.isdir(stamps):
        return "`make setup` did not make it: it has no folder .setup"
    if (CHECKOUT + os.sep).startswith(os.path.realpath(folder) + os.sep):
        return "the checkout is in it"
    try:
        with open(os.path.join(stamps, "venv")) as file:
            made = file.read().split(") ", 1)[-1]  # '(3, 11) /path'
    except OSError:
        made = folder  # the set-up was interrupted
    return None if made == folder else "`make setup` made it as " + made


def main():
    folder = os.path.abspath(os.path.join(CHECKOUT, os.environ.get("VENV") or ".venv"))
    if not os.path.lexists(folder):
        return 0
    reason = reason_to_keep(folder)
    if reason:
        sys.stderr.write(f"{folder} is kept: {reason}. Remove it yourself.\n")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
