"""A WebSocket server and client on the package websockets.

    websocket_peer.py server           prints its port and echoes until it is killed
    websocket_peer.py client URL [CA.pem]
                                       sends and checks every kind of frame, prints what it saw as one JSON object
"""

import asyncio
import json
import os
import ssl
import sys

import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve


async def echo(connection):
    async for message in connection:
        if message == "close":
            await connection.close(4001, "as asked")
            return
        if message == "headers":
            message = json.dumps({name.lower(): value for name, value in connection.request.headers.raw_items()})
        await connection.send(message)


async def server():
    async with serve(echo, "127.0.0.1", 0, max_size=None, subprotocols=["weir.test"]) as running:
        print(running.sockets[0].getsockname()[1], flush=True)
        await running.serve_forever()


async def client(url, ca=None):
    context = ssl.create_default_context(cafile=ca) if ca else None
    seen = {}
    async with connect(url, ssl=context, max_size=None, proxy=None, subprotocols=["weir.test"]) as connection:
        seen["subprotocol"] = connection.subprotocol
        await connection.send("hello")
        seen["text"] = await connection.recv()
        large = os.urandom(2_000_000)
        await connection.send(large)
        seen["large"] = await connection.recv() == large
        seen["ping"] = await (await connection.ping()) >= 0
        for n in range(200):
            await connection.send(str(n))
        seen["many"] = [await connection.recv() for _ in range(200)] == [str(n) for n in range(200)]
        await connection.send("headers")
        seen["headers"] = json.loads(await connection.recv())
        await connection.send("close")
        try:
            await connection.recv()
        except websockets.ConnectionClosed as closed:
            seen["closed"] = [closed.rcvd.code, closed.rcvd.reason]
    print(json.dumps(seen))


if __name__ == "__main__":
    asyncio.run(server() if sys.argv[1] == "server" else client(*sys.argv[2:]))
