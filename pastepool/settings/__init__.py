"""Turn the operator's INI file into one checked value. Pure, except ``origin``, which reads the file again."""

from __future__ import annotations

from pastepool.settings.origin import factory_named_in, lines_of, named_in, section_of
from pastepool.settings.reading import read
from pastepool.settings.reference import ReferenceRow, reference_rows
from pastepool.settings.secrets import mask
from pastepool.settings.values import AdminSettings, MailSettings, Settings

__all__ = [
    "AdminSettings",
    "MailSettings",
    "ReferenceRow",
    "Settings",
    "factory_named_in",
    "lines_of",
    "mask",
    "named_in",
    "read",
    "reference_rows",
    "section_of",
]
