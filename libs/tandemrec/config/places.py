"""Where folders and files may lie."""

import os


def in_the_way(folder: str) -> str | None:
    """What is no folder and stands where this one, or one above it, would have to be; None where nothing does."""
    path = os.path.abspath(folder)
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    return None if os.path.isdir(path) else path
