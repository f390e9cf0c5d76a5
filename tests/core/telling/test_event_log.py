"""The events: the last ones, in order, and masses as one."""

from __future__ import annotations

from pastepool.core.telling.event_log import EVENT_LIMIT, MERGED_FOR, EventLog


def test_newest_events_come_first_and_the_oldest_go() -> None:
    """The ring keeps as many as it may."""
    log = EventLog()
    for number in range(EVENT_LIMIT + 50):
        log.note("hung", float(number), f"event {number}")
    events = log.newest_first()
    assert len(events) == EVENT_LIMIT
    assert (events[0].text, events[-1].text) == (f"event {EVENT_LIMIT + 49}", "event 50")
    assert [event.number for event in events] == sorted((event.number for event in events), reverse=True)


def test_masses_are_one_event() -> None:
    """The same text within ten seconds is counted; later, and another text, are events of their own."""
    log = EventLog()
    for at in (0.0, 1.0, MERGED_FOR - 0.1, MERGED_FOR, MERGED_FOR + 1):
        log.note_more("shed", at, "refused")
    log.note_more("shed", 1.0, "expired")
    assert [(event.text, event.count) for event in log.newest_first()] == [
        ("expired", 1),
        ("refused", 2),
        ("refused", 3),
    ]
