// A Socket.IO client that says what it hears, one JSON object a line; ends when its input does. Each line of its input,
// {"emit": NAME, "data": …}, is sent, and what is acknowledged said as {"event": "acknowledged", "of": NAME, "ack": …}.
// usage: socketio.mjs URL TOKEN [room…] [--transport polling|websocket]
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { io } from "socket.io-client";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { transport: { type: "string" } },
});
const [url, token, ...rooms] = positionals;
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const socket = io(url, {
  auth: { token },
  reconnectionDelay: 100,
  reconnectionDelayMax: 500,
  ...(values.transport && { transports: [values.transport] }),
});

socket.on("connect", async () => {
  say({ event: "connect" });
  for (const room of rooms) {
    try {
      say({ event: "subscribed", room, ack: await socket.timeout(10_000).emitWithAck("subscribe", { room }) });
    } catch (error) {
      say({ event: "subscribe_error", room, data: error.message });
    }
  }
});
socket.on("connect_error", (error) => say({ event: "connect_error", data: error.data ?? error.message }));
socket.on("disconnect", (reason) => say({ event: "disconnect", data: reason }));
socket.onAny((event, data) => say({ event, data }));

const input = createInterface({ input: process.stdin });
input.on("line", async (line) => {
  const { emit, data } = JSON.parse(line);
  try {
    say({ event: "acknowledged", of: emit, ack: await socket.timeout(10_000).emitWithAck(emit, data) });
  } catch (error) {
    say({ event: "emit_error", of: emit, data: error.message });
  }
});
input.on("close", () => {
  socket.disconnect();
  process.exit(0);
});
