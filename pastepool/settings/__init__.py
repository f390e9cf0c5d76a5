"""Turn the operator's INI file into one checked value. Pure, except ``section_of``, which reads the file once more."""

from __future__ import annotations

from pastepool.settings.origin import section_of
from pastepool.settings.reading import read
from pastepool.settings.reference import ReferenceRow, reference_rows
from pastepool.settings.secrets import mask
from pastepool.settings.values import AdminSettings, MailSettings, Settings

__all__ = ["AdminSettings", "MailSettings", "ReferenceRow", "Settings", "mask", "read", "reference_rows", "section_of"]
