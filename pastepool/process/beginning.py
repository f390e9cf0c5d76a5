"""Begin to serve with several processes: check that this process may fork, open the sockets, and become the parent."""

from __future__ import annotations

import os
from collections.abc import Callable

from pastepool.errors import SettingsError
from pastepool.process.parent import Parent
from pastepool.runtime.family.birth import Birth
from pastepool.runtime.family.control import Control, names_for
from pastepool.runtime.family.may_fork import refuse_to_fork_beside_threads
from pastepool.runtime.family.naming import middle_of, name_process
from pastepool.runtime.family.offer import offer
from pastepool.runtime.family.orphans import adopt_orphans
from pastepool.runtime.sockets.passed import take_passed
from pastepool.runtime.system.clock import MonotonicClock
from pastepool.runtime.system.service_manager import service_manager
from pastepool.runtime.system.standard_streams import fill_closed_descriptors
from pastepool.settings.values import Settings


class ParentEnds(BaseException):
    """The parent has ended, and all workers before it. ``status``: of its process. Catcher: let the process end."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


def become_parent(settings: Settings, read_again: Callable[[], Settings]) -> Birth:
    """
    Fork the workers and look after them.

    ``read_again``: reads the settings again, for a reload. Returns: in each worker what it is given. Raises: ParentEnds: in the
    parent, at the end of all. StartError: the process cannot fork safely, or a socket cannot be opened.
    """
    refuse_to_fork_beside_threads()
    if settings.processes.preload:
        adopt_orphans()
    fill_closed_descriptors()
    given = offer(settings, None, take_passed(settings.listen, os.environ))
    control = Control(names_for(settings.config_file, settings.section, os.geteuid()))
    parent = Parent(given, lambda: _checked(read_again()), MonotonicClock(), service_manager(os.environ), control)
    name_process(middle_of(settings), "parent", "main")
    birth = parent.run()
    if birth is None:
        raise ParentEnds(parent.status)
    return birth


def _checked(settings: Settings) -> Settings:
    """Raises: SettingsError: a reload cannot bring what these settings ask for. StartError: nor can this system."""
    if not settings.processes.processes:
        raise SettingsError(
            f"{settings.config_file} [{settings.section}]: processes is not set any more; that needs a restart.",
            section=settings.section,
            key="processes",
        )
    if settings.processes.preload:
        adopt_orphans()
    return settings
