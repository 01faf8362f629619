"""What a proxy must know of PostgreSQL's protocol: where messages end, and which of them commit.

Outside a transaction block, a Query or a Sync after an Execute commits; inside one, a Query that
says so does. Whether there is a block, the server says with every ReadyForQuery.
"""

from __future__ import annotations

import struct

_UNTYPED_REQUESTS = frozenset({80877103, 80877104, 80877102})  # SSL, GSS, cancel
_HEADER = struct.Struct("!cI")
_WORDS = struct.Struct("!II")


class Client:
    """Follows what a client sends."""

    def __init__(self) -> None:
        """Begins before the startup message."""
        self.application = ""
        self.in_block = False
        self._started = False
        self._executed = False
        self._pending = bytearray()

    def commits(self, data: bytes) -> bool:
        """Takes in what the client sent: whether something is committed by it."""
        self._pending += data
        found = False
        while (message := self._next()) is not None:
            kind, body = message
            found |= self._does_commit(kind, body)
        return found

    def _next(self) -> tuple[bytes, bytes] | None:
        if not self._started:
            return self._next_untyped()
        if len(self._pending) < _HEADER.size:
            return None
        kind, length = _HEADER.unpack_from(self._pending)
        if len(self._pending) < length + 1:
            return None
        # Only the text of a Query is looked at.
        body = bytes(self._pending[5 : length + 1]) if kind == b"Q" else b""
        del self._pending[: length + 1]
        return kind, body

    def _next_untyped(self) -> tuple[bytes, bytes] | None:
        if len(self._pending) < _WORDS.size:
            return None
        length, code = _WORDS.unpack_from(self._pending)
        if len(self._pending) < length:
            return None
        body = bytes(self._pending[8:length])
        del self._pending[:length]
        if code not in _UNTYPED_REQUESTS:
            self._started = True
            words = body.split(b"\0")
            settings = dict(zip(words[::2], words[1::2], strict=False))
            self.application = settings.get(b"application_name", b"").decode(errors="replace")
        return b"", b""

    def _does_commit(self, kind: bytes, body: bytes) -> bool:
        if kind == b"E":
            self._executed = True
        elif kind == b"S":
            executed, self._executed = self._executed, False
            return executed and not self.in_block
        elif kind == b"Q":
            word = body[:6].lower()
            return word == b"commit" if self.in_block else not word.startswith(b"begin")
        return False


class Server:
    """Follows what a server sends, message by message."""

    def __init__(self, client: Client) -> None:
        """Tells `client` when a transaction block begins and ends."""
        self._client = client
        self._pending = bytearray()
        self._skip = 0

    def is_ready(self, data: bytes) -> bool:
        """Takes in what the server sent: whether it has answered, ReadyForQuery included."""
        if self._skip >= len(data):  # still within a long message
            self._skip -= len(data)
            return False
        self._pending += data[self._skip :]
        self._skip = 0
        ready = False
        at = 0
        while len(self._pending) - at >= _HEADER.size:
            kind, length = _HEADER.unpack_from(self._pending, at)
            if kind == b"Z":
                if len(self._pending) - at < 6:
                    break
                ready = True
                self._client.in_block = self._pending[at + 5 : at + 6] != b"I"
            at += length + 1
        if at > len(self._pending):
            self._skip = at - len(self._pending)
            self._pending.clear()
        else:
            del self._pending[:at]
        return ready
