"""A Socket.IO client that says what it hears, one JSON object a line; ends when its input does. Each line of its input,
{"emit": NAME, "data": ...}, is sent, and what is acknowledged said as {"event": "acknowledged", "of": NAME, "ack": ...}.

usage: socketio.py URL TOKEN [room...] [--transport polling|websocket]
"""

import argparse
import json
import os
import sys
import threading

# This file has the library's own name: its folder must not be searched first.
sys.path.pop(0)

import socketio

parser = argparse.ArgumentParser()
parser.add_argument("url")
parser.add_argument("token")
parser.add_argument("rooms", nargs="*")
parser.add_argument("--transport", choices=["polling", "websocket"])
args = parser.parse_args()

client = socketio.Client(reconnection_delay=0.1, reconnection_delay_max=0.5)
writing = threading.Lock()


def say(**line):
    with writing:
        print(json.dumps(line), flush=True)


def subscribe():
    for room in args.rooms:
        try:
            say(event="subscribed", room=room, ack=client.call("subscribe", {"room": room}, timeout=10))
        except socketio.exceptions.TimeoutError as error:
            say(event="subscribe_error", room=room, data=str(error))


@client.event
def connect():
    say(event="connect")
    # An acknowledgement can only be read after this handler.
    client.start_background_task(subscribe)


@client.event
def connect_error(data=None):
    say(event="connect_error", data=data)


@client.event
def disconnect(reason=None):
    say(event="disconnect", data=reason)


@client.on("*")
def heard(event, *data):
    say(event=event, data=data[0] if data else None)


def open_connection():
    transports = [args.transport] if args.transport else None
    try:
        client.connect(args.url, auth={"token": args.token}, transports=transports)
    except socketio.exceptions.ConnectionError:
        # `connect_error` has said why.
        pass


threading.Thread(target=open_connection, daemon=True).start()
for line in sys.stdin:
    wanted = json.loads(line)
    try:
        ack = client.call(wanted["emit"], wanted["data"], timeout=10)
        say(event="acknowledged", of=wanted["emit"], ack=ack)
    except socketio.exceptions.SocketIOError as error:
        say(event="emit_error", of=wanted["emit"], data=str(error))
client.disconnect()
# The library's threads may still wait for the network.
os._exit(0)
