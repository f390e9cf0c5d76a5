"""
The table of the options of ``[app:...] use = egg:pastepool#watch_threads``, and the function that reads a section.

Errors are sentences of the same form as the server's (``settings.place``).
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pastepool.core.addresses import Network
from pastepool.core.telling.masking import MASK
from pastepool.errors import SettingsError
from pastepool.settings.mistakes import Mistakes
from pastepool.settings.networks import LOOPBACK, Networks
from pastepool.settings.option import Option
from pastepool.settings.parsing import Secret, Truth, Unfit, plain_text
from pastepool.settings.place import SettingsPlace
from pastepool.settings.secrets import mask

OPTIONS = (
    Option(
        names=("allow_kill",),
        parser=Truth(),
        default=False,
        unit="",
        field="allow_kill",
        since="0.1",
        doc="Whether requests can be killed from the page.",
        why="The default of Paste (contract P16); a look does no harm, but a kill may.",
        group="Watching",
    ),
    Option(
        names=("token",),
        parser=Secret(),
        default="",
        unit="",
        field="token",
        since="0.1",
        doc="A secret that every visitor of the page must give. If it is not set, one is drawn at the start and written"
        " into the log.",
        why="A default that everybody can read in the manual would not be a secret.",
        group="Watching",
        default_text="drawn at the start",
        example="a-long-random-text",
        secret=True,
    ),
    Option(
        names=("allow_from",),
        parser=Networks(),
        default=LOOPBACK,
        unit="",
        field="allow_from",
        since="0.1",
        doc="Addresses and networks that are let in; any but this machine's own need a token as well.",
        why="The page shows private data (contract P17).",
        group="Watching",
    ),
)

BY_NAME: Mapping[str, Option] = {name: option for option in OPTIONS for name in option.names}


@dataclass(frozen=True)
class WatchOptions:
    """The options of one mounted page, as the operator set them. ``repr`` does not show ``token``."""

    allow_kill: bool = False
    token: str = field(default="", repr=False)
    allow_from: tuple[Network, ...] = LOOPBACK


def read_options(local: Mapping[str, object], place: SettingsPlace) -> WatchOptions:
    """
    Read and check a section. All mistakes are reported together.

    Raises: SettingsError: the section has unknown keys, values of the wrong form, or admits other machines without a
    token. The operator must edit it.
    """
    mistakes = Mistakes()
    values: dict[str, Any] = {option.field: option.default for option in OPTIONS}
    for key, raw in local.items():
        option = BY_NAME.get(key)
        if option is None:
            mistakes.add(_unknown(key, str(raw), place))
            continue
        try:
            text = plain_text(raw)
            values[option.field] = option.parser(text) if text else option.default
        except Unfit as unfit:
            mistakes.add(place.unfit(key, option, str(raw).strip(), unfit))
    options = WatchOptions(**values)
    if not options.token and not all(network.is_loopback for network in options.allow_from):
        shown = BY_NAME["allow_from"].show(options.allow_from)
        remedy = "other machines are let in with a secret only, so set token or delete the first"
        mistakes.add(place.contradiction("allow_from", shown, "token", "none", remedy))
    mistakes.raise_all()
    return options


def _unknown(key: str, value: str, place: SettingsPlace) -> SettingsError:
    plain = key.strip().lower().replace("-", "_")
    close = next(iter(difflib.get_close_matches(plain, BY_NAME, n=1, cutoff=0.6)), "")
    known = ", ".join(BY_NAME)
    remedy = f"the nearest one is {close!r}, so correct the name or delete the line" if close else f"it has {known}"
    shown = MASK if close and BY_NAME[close].secret and value else mask(key, value[:80])
    return SettingsError(
        f"{place}: {key!r} (value {shown!r}) is not an option of watch_threads; {remedy}.",
        section=place.section,
        key=key,
        value=shown,
        nearest=close,
    )
