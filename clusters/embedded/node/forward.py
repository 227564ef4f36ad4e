"""The host's way to the API server: a listener opened outside, served inside."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

from clusters.embedded.settings import API_PORT


def serve(listener: socket.socket) -> None:
    """Forward each connection to the API server, in the background."""
    threading.Thread(target=lambda: asyncio.run(_serve(listener)), daemon=True).start()


async def _serve(listener: socket.socket) -> None:
    server = await asyncio.start_server(_forward, sock=listener)
    await server.serve_forever()


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", API_PORT)
    except OSError:
        writer.close()
        return
    await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()
