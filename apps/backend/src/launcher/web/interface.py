"""The control interface of one launcher: the same routes behind each of its doors."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from launcher.web.doors import TOKEN_FILE, LoopbackPort, SocketFile
from launcher.web.server import Limits, Server

if TYPE_CHECKING:
    from pathlib import Path

    from launcher.web.port import ControlPort

SOCKET_FILE = "control.sock"


class Interface:
    """Serves the control socket, and a port of this machine if one is wanted, from ``start`` to ``close``.

    Each door has its own bounds, so that nobody who only reaches the port can keep the owner from the socket.

    Args:
        port: the supervisor.
        run_dir: where the socket file and the token are.
        api: the port; ``None`` for none.
        limits: what one client may take, and how many there may be at each door.
    """

    def __init__(
        self, port: ControlPort, run_dir: Path, api: int | None = None, limits: Limits | None = None
    ) -> None:
        self.loopback = None if api is None else LoopbackPort(api, run_dir / TOKEN_FILE)
        socket_file = SocketFile(run_dir / SOCKET_FILE, self.loopback)
        doors = (socket_file,) if self.loopback is None else (self.loopback, socket_file)
        self._servers = [Server(port, door, limits or Limits()) for door in doors]

    async def start(self) -> None:
        """Open all doors.

        Raises:
            RunDirectoryError: the socket file or the token cannot be made.
            BindFailed: the port cannot be had. Nothing stays open then.
        """
        try:
            for server in self._servers:
                await server.start()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Take no more requests, let answers under way be finished for a moment, then end all connections."""
        await asyncio.gather(*(server.close() for server in self._servers))
