from collections.abc import Callable, MutableMapping
from typing import Any, Protocol, TypeVar

class _Numbered(Protocol):
    def fileno(self) -> int: ...

_Rendered = TypeVar("_Rendered")

EDITION: int
LANGUAGE: str

class HeadCallbacks:
    request: Any
    complete: bool
    _fields: dict[str, Any] | None
    _target: bytes
    _fed: bytes
    _host: str | None
    _parser: Any
    _prototype: dict[str, Any]
    _keys: MutableMapping[bytes, str]
    _methods: MutableMapping[bytes, str]
    _make_request: Callable[..., Any]
    _repeated: int
    _most_fields: int
    _longest_target: int
    def on_url(self, piece: bytes) -> None: ...
    def on_header(self, name: bytes, value: bytes) -> None: ...
    def on_headers_complete(self) -> None: ...
    def on_message_complete(self) -> None: ...

def head_renderer(
    status_lines: dict[str, tuple[int, bytes, int]],
    kinds: dict[str, int],
    any_head: Callable[[str, list[tuple[str, str]]], _Rendered],
) -> Callable[[str, list[tuple[str, str]]], _Rendered]: ...

held_receive: Callable[[_Numbered, int], bytes | None] | None
held_send: Callable[[_Numbered, bytes], int] | None
accept_client: Callable[[_Numbered], tuple[int, str, int] | int] | None
