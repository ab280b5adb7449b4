"""A Socket.IO server by the library's own authors, to try the clients on: the token must be `right`, a room is any."""

import sys

import socketio
from werkzeug.serving import run_simple

server = socketio.Server(async_mode="threading")


@server.event
def connect(sid, environ, auth):
    if (auth or {}).get("token") != "right":
        raise socketio.exceptions.ConnectionRefusedError("wrong token")


@server.event
def subscribe(sid, data):
    server.enter_room(sid, data["room"])
    server.start_background_task(server.emit, "news", {"of": data["room"]}, room=data["room"])
    return {"ok": True}


run_simple("127.0.0.1", int(sys.argv[1]), socketio.WSGIApp(server), threaded=True)
