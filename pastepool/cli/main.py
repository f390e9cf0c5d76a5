"""
Read the command line of ``pastepool`` and of ``python -m pastepool``, and run one of the commands.

``argparse`` is enough for three commands with two arguments, and a server should bring few packages with it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pastepool.cli.asking import RELOAD, STATUS, STOP, ask
from pastepool.runtime.system.loggers import write_line

_INTERRUPTED = 130
"""The status of a command that Ctrl-C has ended, as shells have it."""

COMMANDS = {
    RELOAD: "load new code and settings; wait until all workers have them; 1 if that fails",
    STATUS: "show the workers",
    STOP: "let the workers finish their requests, and end",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. ``arguments``: those of the process if None. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="pastepool", description="Control a server that runs with processes = N.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, words in COMMANDS.items():
        command = commands.add_parser(name, help=words, description=f"{name}: {words}.")
        command.add_argument("file", help="the INI file that the server was started with")
        command.add_argument(
            "--server-name", default="main", help="NAME of its section [server:NAME]; main if not given"
        )
    given = parser.parse_args(arguments)
    try:
        ok, text = ask(given.command, given.file, f"server:{given.server_name}")
    except KeyboardInterrupt:
        write_line(sys.stderr, f"{given.command} goes on in the server; pastepool status {given.file} shows how it is.")
        return _INTERRUPTED
    write_line(sys.stdout if ok else sys.stderr, text)
    return 0 if ok else 1
