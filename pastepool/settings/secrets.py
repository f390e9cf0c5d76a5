"""What must never be shown: which keys are secret, and what stands in their place."""

from __future__ import annotations

import re

from pastepool.core.telling.masking import MASK
from pastepool.settings.options import BY_NAME, nearest

_SECRET_KEY = re.compile(r"passw|passphrase|secret|token|credential", re.IGNORECASE)


def mask(key: str, value: str) -> str:
    """
    Hide the value of a secret key.

    A misspelt ``smtp_pasword`` is no row of the table, so keys that are close to a secret one, or sound like one,
    count too. An empty value stays empty: that a secret is missing is worth seeing.
    """
    option = BY_NAME.get(key) or BY_NAME.get(nearest(key))
    is_secret = option.secret if option else bool(_SECRET_KEY.search(key))
    return MASK if is_secret and value else value
