"""The operator's INI file -> one checked value. Pure, but for ``section_of``, which looks at the file's headings."""

from __future__ import annotations

from pastepool.settings.origin import section_of
from pastepool.settings.reading import read
from pastepool.settings.reference import ReferenceRow, reference_rows
from pastepool.settings.secrets import mask
from pastepool.settings.values import AdminSettings, MailSettings, Settings

__all__ = ["AdminSettings", "MailSettings", "ReferenceRow", "Settings", "mask", "read", "reference_rows", "section_of"]
