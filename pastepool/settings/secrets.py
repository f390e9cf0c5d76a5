"""Decide which keys have secret values, and hide those values."""

from __future__ import annotations

import re

from pastepool.core.telling.masking import MASK
from pastepool.settings.options import BY_NAME, nearest

_SECRET_KEY = re.compile(r"passw|passphrase|secret|token|credential", re.IGNORECASE)


def mask(key: str, value: str) -> str:
    """
    Return the value of a key as it may be shown: ``MASK`` if the key is secret.

    A misspelt key such as ``smtp_pasword`` is not in the table. So a key also counts as secret if it is similar to a
    secret one, or contains a word such as "token". An empty value stays empty, so that a missing secret can be seen.
    """
    option = BY_NAME.get(key) or BY_NAME.get(nearest(key))
    is_secret = option.secret if option else bool(_SECRET_KEY.search(key))
    return MASK if is_secret and value else value
