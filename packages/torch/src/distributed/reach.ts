import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";
import { quoted, UserError } from "@peekaboo/files/errors";
import { DistributedError } from "../errors.js";
import { Store, type StoreOptions } from "./store.js";

const OPERATION = "join the process group";

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

/** Whether the host, as it is written, can only be this machine. A name that resolves so here may be another elsewhere. */
export function isLoopback(host: string): boolean {
  const family = isIP(host);
  return family === 0
    ? host.toLowerCase() === "localhost"
    : LOOPBACK.check(host.replace(/%.*/, ""), family === 4 ? "ipv4" : "ipv6");
}

/** The addresses of a host. @throws {UserError} when it has none, or the name service does not answer in time. */
export async function addressesOf(host: string, timeoutMs: number): Promise<string[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    const found = await Promise.race([lookup(host, { all: true }), late]);
    return [...new Set(found.map(({ address }) => address))];
  } catch (error) {
    throw new UserError({
      operation: OPERATION,
      argument: `host ${quoted(host)}`,
      expected: "the name or address of the machine of rank 0",
      received: (error as NodeJS.ErrnoException).code ?? (error as Error).message,
      remedy: "look for a typing error, and at the machine's name service",
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Where rank 0 listens so that nobody reaches it but through the address that all were given. A name that stands for this
 * machine alone here (Debian's 127.0.1.1) is known by another address to the others: it listens everywhere.
 */
export function listeningHosts(host: string, addresses: readonly string[]): readonly string[] {
  return !isLoopback(host) && addresses.every(isLoopback) ? [] : addresses;
}

export type MeetingPoint = StoreOptions & { host: string };

/** Serves the store. @throws {UserError} when the port can't be listened on. */
export async function serveStore(options: MeetingPoint): Promise<Store> {
  try {
    return await Store.open(options);
  } catch (error) {
    if (!(error instanceof DistributedError)) throw error;
    const reason = reasonOf(error);
    throw new UserError({
      operation: OPERATION,
      argument: `port ${options.port}`,
      expected: "a port that rank 0 can listen on",
      received: reason === "EADDRINUSE" ? "one that another process listens on" : reason,
      remedy: "take another one, the same for every rank",
      cause: error,
    });
  }
}

/** Connects to the store of rank 0, or of the launcher. @throws {UserError} when it is not there in time. */
export async function reachStore(options: MeetingPoint): Promise<Store> {
  try {
    return await Store.open(options);
  } catch (error) {
    if (!(error instanceof DistributedError)) throw error;
    const reason = reasonOf(error);
    const { host, port } = options;
    throw new UserError({
      operation: OPERATION,
      argument: isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`,
      expected: "the store of rank 0",
      received: reason,
      remedy: reason.startsWith("nobody")
        ? "start rank 0, give every rank its address and port, and let the port through firewalls"
        : "give every rank of a job the same address, with a port that no other program and no other job has",
      cause: error,
    });
  }
}

function reasonOf({ message, operation }: DistributedError): string {
  return message.slice(operation.length + 2);
}
