// Many Socket.IO clients in one process: crowd.mjs URL TOKEN COUNT. Prints "ready" when all are connected, and how many
// events they heard once its input ends.
import { io } from "socket.io-client";

const [url, token, count] = process.argv.slice(2);
let heard = 0;
let connected = 0;
let lost = 0;
const sockets = [];
for (let number = 0; number < Number(count); number += 1) {
  const socket = io(url, { auth: { token }, transports: ["websocket"], forceNew: true });
  socket.on("connect", () => {
    connected += 1;
    if (connected === Number(count)) console.log("ready");
  });
  socket.on("disconnect", () => (lost += 1));
  socket.onAny(() => (heard += 1));
  sockets.push(socket);
}
process.stdin.resume();
process.stdin.on("end", () => {
  console.log(JSON.stringify({ connected, lost, heard }));
  process.exit(0);
});
