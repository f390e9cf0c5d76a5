"""Addresses of mail: with and without names, and what is no address."""

from __future__ import annotations

import pytest

from pastepool.settings.mail_addresses import MailAddress, MailAddresses
from pastepool.settings.parsing import Unfit


def test_recipients_part_at_commas_and_at_white_space() -> None:
    """Paste splits on commas here and on blanks there, so a value good for either is good for us."""
    assert MailAddresses()("a@b.c, d@e.f  g@h.i\n  j@k.l,") == ("a@b.c", "d@e.f", "g@h.i", "j@k.l")
    assert MailAddresses().show(("a@b.c", "d@e.f")) == "a@b.c, d@e.f"


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ('"Ops Team" <a@b>', ('"Ops Team" <a@b>',)),
        ("Ops Team <a@b>", ('"Ops Team" <a@b>',)),
        ("a@b Ops Team <c@d>,e@f", ("a@b", '"Ops Team" <c@d>', "e@f")),
        ('"Ops, night" <a@b>, <c@d>', ('"Ops, night" <a@b>', "c@d")),
        ("Überwachung <a@b>", ('"Überwachung" <a@b>',)),
        ("root", ("root",)),
    ],
)
def test_a_recipient_may_have_a_name(text: str, addresses: tuple[str, ...]) -> None:
    """A name with blanks makes one recipient, not three; what is shown is read back to the same."""
    assert MailAddresses()(text) == addresses
    assert MailAddresses()(MailAddresses().show(addresses)) == addresses


@pytest.mark.parametrize("text", [",", ", ,", "ü@example.com", "Ops <a b>", "<", 'a@b "c', "x\x07 <a@b>"])
def test_nobody_at_all_is_refused(text: str) -> None:
    """Commas alone name nobody, and addresses are ASCII."""
    with pytest.raises(Unfit, match="is not addresses separated by commas or blanks"):
        MailAddresses()(text)


def test_a_sender_is_one_address() -> None:
    """A name may be in any language."""
    assert MailAddress()("Störungen <a@b>") == MailAddress().show('"Störungen" <a@b>') == '"Störungen" <a@b>'
    for text in ("a@b, c@d", "Ops Team", "ü@b"):
        with pytest.raises(Unfit, match="is not one address, such as"):
            MailAddress()(text)
