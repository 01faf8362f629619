"""A proxy between the actors and the server that loses replies, cuts links and lets them hang.

It runs in a process of its own and does what it is told through a pipe. What it does to a commit
is told by the protocol, not by time: the statement is forwarded, and of its reply nothing comes
back. So the client cannot know whether it has committed, and it has.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from torture import wire

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a close sends RST at once


@dataclass(frozen=True, slots=True)
class DropReply:
    """Lose the reply to the next commit of a client whose application_name begins so."""

    application: str
    blindly: bool
    """Cut at once, whether or not the server has come to it; else after it has answered."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Reset some links."""

    links: int


@dataclass(frozen=True, slots=True)
class Hang:
    """Let some links hang, with both ends open, and reset them after so many seconds."""

    links: int
    seconds: float


Order = DropReply | Cut | Hang


class _Link:
    """One client, its server, and what is between them."""

    def __init__(self, proxy: _Proxy) -> None:
        self.proxy = proxy
        self.client = wire.Client()
        self.server = wire.Server(self.client)
        self.near: asyncio.Transport | None = None
        self.far: asyncio.Transport | None = None
        self.swallow = False

    def from_client(self, data: bytes) -> None:
        assert self.far is not None
        if self.client.commits(data) and (order := self.proxy.order_for(self.client.application)):
            self.far.write(data)
            if order.blindly:
                self.far.close()
                self._reset(self.near)
            else:
                self.swallow = True
        else:
            self.far.write(data)

    def from_server(self, data: bytes) -> None:
        ready = self.server.is_ready(data)
        if not self.swallow:
            assert self.near is not None
            self.near.write(data)
        elif ready:
            self.reset()

    def hang(self, seconds: float) -> None:
        for transport in (self.near, self.far):
            if transport is not None and not transport.is_closing():
                transport.pause_reading()
        asyncio.get_running_loop().call_later(seconds, self.reset)

    def reset(self) -> None:
        self._reset(self.near)
        self._reset(self.far)

    def end(self) -> None:
        """One end has closed: lets the other one know."""
        self.proxy.links.discard(self)
        for transport in (self.near, self.far):
            if transport is not None:
                transport.close()

    @staticmethod
    def _reset(transport: asyncio.Transport | None) -> None:
        if transport is not None and not transport.is_closing():
            own: socket.socket = transport.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            transport.abort()


class _Near(asyncio.Protocol):
    """The client's end."""

    def __init__(self, proxy: _Proxy) -> None:
        self._link = _Link(proxy)
        self._opening: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        self._link.near = transport
        self._opening = asyncio.get_running_loop().create_task(self._open())

    def data_received(self, data: bytes) -> None:
        self._link.from_client(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._link.end()

    async def _open(self) -> None:
        link = self._link
        assert link.near is not None
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: _Far(link), "127.0.0.1", link.proxy.port
            )
        except OSError:  # the server is down
            link.near.close()
            return
        if not link.near.is_closing():
            link.proxy.links.add(link)
            link.near.resume_reading()


class _Far(asyncio.Protocol):
    """The server's end."""

    def __init__(self, link: _Link) -> None:
        self._link = link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._link.far = transport

    def data_received(self, data: bytes) -> None:
        self._link.from_server(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._link.end()


class _Proxy:
    """All links, and the orders that wait for a commit."""

    def __init__(self, port: int, pick: random.Random, orders: Connection) -> None:
        self.port = port
        self.links: set[_Link] = set()
        self._pick = pick
        self._orders = orders
        self._waiting: deque[DropReply] = deque()

    def order_for(self, application: str) -> DropReply | None:
        """Returns the first order that this client's commit carries out."""
        for order in self._waiting:
            if application.startswith(order.application):
                self._waiting.remove(order)
                self._orders.send((order, application))
                return order
        return None

    def obey(self) -> None:
        """Takes an order from the pipe, and tells what came of it."""
        order: Order = self._orders.recv()
        if isinstance(order, DropReply):
            self._waiting.append(order)
            return
        links = sorted(self.links, key=lambda link: link.client.application)
        for link in self._pick.sample(links, min(order.links, len(links))):
            if isinstance(order, Cut):
                link.reset()
            else:
                link.hang(order.seconds)
            self._orders.send((order, link.client.application))


def serve(port: int, seed: int, orders: Connection) -> None:
    """Runs the proxy until its pipe closes; the first thing it sends is its own port.

    Args:
        port: the server's port.
        seed: which links a cut meets.
        orders: a pipe: `Order` in, pairs of an order and an application_name out.
    """
    asyncio.run(_serve(port, seed, orders))


async def _serve(port: int, seed: int, orders: Connection) -> None:
    loop = asyncio.get_running_loop()
    proxy = _Proxy(port, random.Random(seed), orders)
    listener = await loop.create_server(lambda: _Near(proxy), "127.0.0.1", 0)
    address: Any = listener.sockets[0].getsockname()
    orders.send(address[1])
    ended = asyncio.Event()

    def read() -> None:
        try:
            proxy.obey()
        except EOFError:
            ended.set()

    loop.add_reader(orders.fileno(), read)
    async with listener:
        await ended.wait()
    loop.remove_reader(orders.fileno())
    for link in list(proxy.links):
        link.reset()
