// A network's own thread: the page stays quick whatever the network does.
import type { CallName, Reply, Request } from "../protocol.js";
import { Room } from "./room.js";

const room = new Room();

function reply(message: Reply): void {
  postMessage(message);
}

async function handle<K extends CallName>({ id, kind, args }: Request<K>): Promise<void> {
  try {
    const value = await room.handlers[kind](args, (fraction) => reply({ id, kind: "progress", fraction }));
    reply({ id, kind: "result", value });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    reply({ id, kind: "failure", message });
  }
}

addEventListener("message", ({ data }: MessageEvent<Request>) => void handle(data));
