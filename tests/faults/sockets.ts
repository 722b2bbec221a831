import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";

/** An address at which a process takes connections, in the kernel's digits. */
export interface Listener {
  readonly address: string;
  readonly port: number;
  readonly loopback: boolean;
}

const LISTENS = "0A";

/** Where a process listens, by /proc. */
export function listenersOf(pid: number): Listener[] {
  const inodes = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      inodes.add(/^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? "");
    } catch {
      // It has been closed meanwhile.
    }
  }
  return ["tcp", "tcp6"].flatMap((table) => {
    const lines = readFileSync(`/proc/${pid}/net/${table}`, "utf8").trim().split("\n").slice(1);
    return lines.flatMap((line) => {
      const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
      const [address = "", port = ""] = local.split(":");
      if (state !== LISTENS || !inodes.has(inode)) return [];
      const loopback = /^......7F$/.test(address) || address === "00000000000000000000000001000000";
      return [{ address, port: Number.parseInt(port, 16), loopback }];
    });
  });
}

/** Bytes of memory that a process has now. */
export function memoryOf(pid: number): number {
  const [, kilobytes] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  // A process that has ended and wasn't waited for yet has none.
  if (kilobytes === undefined) throw new Error(`process ${pid} has no memory any more`);
  return 1024 * Number(kilobytes);
}

/** A connection to a port of the loopback interface, over which `bytes` have gone; what comes back is dropped. */
export function connected(port: number, bytes: string | Uint8Array = ""): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes, () => resolve(socket)));
    socket.resume().once("error", reject);
    socket.on("error", () => {});
  });
}

/** Resolves when the other end has closed the connection. */
export function hungUp(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    socket.once("close", () => resolve());
  });
}

/** A server of the loopback interface that does as told with each connection. */
export class Stranger {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;

  private constructor(server: Server, sockets: Set<Socket>) {
    this.#server = server;
    this.#sockets = sockets;
    const address = server.address();
    this.port = typeof address === "object" && address !== null ? address.port : 0;
  }

  static start(greet: (socket: Socket) => void): Promise<Stranger> {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => {}).on("close", () => sockets.delete(socket));
      greet(socket);
    });
    return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(new Stranger(server, sockets))));
  }

  stop(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** Sends the bytes over and over, as fast as they are taken. */
export function pour(socket: Socket, bytes: Uint8Array): void {
  const more = () => {
    while (!socket.destroyed && socket.write(bytes));
  };
  socket.on("drain", more).resume();
  more();
}

/** What can answer in the store's place, and what is said of it. */
export const STRANGERS: Record<string, { greet: (socket: Socket) => void; found: RegExp }> = {
  silent: { greet: (socket) => socket.resume(), found: /a program that says nothing/ },
  garbage: {
    greet: (socket) => socket.resume().write(Uint8Array.from({ length: 64 }, (_, i) => (i * 37 + 11) % 256)),
    found: /a program that says something else/,
  },
  HTTP: {
    greet: (socket) => socket.resume().end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"),
    found: /a program that says something else/,
  },
  zeros: {
    greet: (socket) => socket.resume().write(new Uint8Array(4096)),
    found: /a program that says something else/,
  },
  TLS: {
    greet: (socket) => socket.resume().end(Uint8Array.of(21, 3, 1, 0, 2, 2, 70)),
    found: /a program that says something else/,
  },
  "a single right byte": { greet: (socket) => socket.resume().write("p"), found: /a program that says something else/ },
  endless: { greet: (socket) => pour(socket, new Uint8Array(65_536).fill(255)), found: /says something else|hangs up/ },
  "closing at once": { greet: (socket) => socket.destroy(), found: /a program that hangs up/ },
};
