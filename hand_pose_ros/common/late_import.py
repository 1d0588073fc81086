"""Late import of objects named 'module:attribute': a table of names imports nothing until one is used."""

from __future__ import annotations

import importlib
from typing import Any


def import_named(name: str) -> Any:
    """Return the object ``name``, 'module:attribute' or 'module:attribute.attribute'.

    Raises:
        ValueError: there is no such module or attribute.
    """
    module, _, attributes = name.partition(":")
    try:
        found = importlib.import_module(module)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        raise ValueError(f"{name!r} cannot be found: {error}") from error
    return found
