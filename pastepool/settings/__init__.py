"""Turn the operator's INI file into one checked value. Pure, except ``section_of`` and ``named_in``, which read it again."""

from __future__ import annotations

from pastepool.settings.origin import named_in, section_of
from pastepool.settings.reading import read
from pastepool.settings.reference import ReferenceRow, reference_rows
from pastepool.settings.secrets import mask
from pastepool.settings.values import AdminSettings, MailSettings, Settings

__all__ = [
    "AdminSettings",
    "MailSettings",
    "ReferenceRow",
    "Settings",
    "mask",
    "named_in",
    "read",
    "reference_rows",
    "section_of",
]
