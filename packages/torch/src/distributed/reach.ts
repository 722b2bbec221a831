import { lookup } from "node:dns/promises";
import { connect, createServer } from "node:net";
import { UserError } from "../errors.js";

const OPERATION = "join the process group";
const RETRY_MS = 200;

/** Throws UserError when the port can't be listened on: it is another program's, or needs privileges. */
export async function checkPortIsFree(port: number): Promise<void> {
  const failure = await new Promise<NodeJS.ErrnoException | null>((resolve) => {
    const server = createServer();
    server.once("error", resolve);
    server.listen({ port }, () => server.close(() => resolve(null)));
  });
  if (failure === null) return;
  const received =
    failure.code === "EADDRINUSE" ? "one that another process listens on" : (failure.code ?? failure.message);
  throw new UserError({
    operation: OPERATION,
    argument: `port ${port}`,
    expected: "a port that rank 0 can listen on",
    received,
    remedy: "take another one, the same for every rank",
    cause: failure,
  });
}

/** Throws UserError unless the host's name resolves. */
export async function checkHost(host: string): Promise<void> {
  try {
    await lookup(host);
  } catch (error) {
    throw new UserError({
      operation: OPERATION,
      argument: `host "${host}"`,
      expected: "the name or address of the machine of rank 0",
      received: (error as NodeJS.ErrnoException).code ?? String(error),
      remedy: "look for a typing error, and at the machine's name service",
      cause: error,
    });
  }
}

/** Waits until somebody listens there. Throws UserError when the time is up. */
export async function waitForListener(host: string, port: number, timeoutMs: number): Promise<void> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const failure = await tryToConnect(host, port, Math.max(1, end - Date.now()));
    if (failure === null) return;
    if (Date.now() + RETRY_MS >= end) {
      throw new UserError({
        operation: OPERATION,
        argument: `${host}:${port}`,
        expected: "the store of rank 0",
        received: `nobody there within ${timeoutMs} ms (${failure})`,
        remedy: "start rank 0, give every rank its address and port, and let the port through firewalls",
      });
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

/** null when somebody accepts, else why not. */
function tryToConnect(host: string, port: number, timeoutMs: number): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (outcome: string | null) => {
      socket.destroy();
      resolve(outcome);
    };
    socket.setTimeout(timeoutMs, () => end("no answer"));
    socket.once("connect", () => end(null));
    socket.once("error", (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
}
