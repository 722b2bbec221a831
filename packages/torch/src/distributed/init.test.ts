import { createServer, type Server } from "node:net";
import { UserError } from "@peekaboo/files/errors";
import { afterAll, beforeAll, expect, it } from "vitest";
import { initProcessGroup, type ProcessGroupOptions } from "./init.js";

let server: Server;
let taken: number;

beforeAll(async () => {
  server = createServer();
  await new Promise<void>((resolve) => server.listen(0, resolve));
  const address = server.address();
  taken = typeof address === "object" && address !== null ? address.port : 0;
});
afterAll(() => server.close());

async function refusal(options: ProcessGroupOptions): Promise<string> {
  const error: unknown = await initProcessGroup({ timeoutMs: 500, rank: 0, worldSize: 1, ...options }).catch((e) => e);
  if (!(error instanceof UserError)) throw error;
  return error.message.replace("join the process group: ", "");
}

it("tells of a port that is taken", async () => {
  expect(await refusal({ initMethod: `tcp://localhost:${taken}` })).toBe(
    `expected a port that rank 0 can listen on for port ${taken}, received one that another process listens on; take another one, the same for every rank.`,
  );
});

it("tells of a host that does not resolve", async () => {
  expect(await refusal({ initMethod: { host: "no-such-host.invalid", port: 1 } })).toMatch(
    /^expected the name or address of the machine of rank 0 for host "no-such-host.invalid", received E/,
  );
});

it.each([
  [
    "of a port that needs privileges, or any other",
    { initMethod: "tcp://[::1%lo]:80", rank: 1 },
    /for \[::1%lo\]:80, received nobody there within/,
  ],
  [
    "of a name that holds control characters",
    { initMethod: { host: "a\u001b[0m", port: 1 } },
    /for host "a\\u001b\[0m", received E/,
  ],
] as [string, ProcessGroupOptions, RegExp][])("tells %s", async (_, options, message) => {
  expect(await refusal({ worldSize: 2, ...options })).toMatch(message);
});

it("tells that nobody listens", async () => {
  const none = createServer();
  await new Promise<void>((resolve) => none.listen(0, resolve));
  const address = none.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  await new Promise((resolve) => none.close(resolve));
  expect(await refusal({ initMethod: `tcp://127.0.0.1:${port}`, rank: 1, worldSize: 2 })).toBe(
    `expected the store of rank 0 for 127.0.0.1:${port}, received nobody there within 500 ms (ECONNREFUSED); start rank 0, give every rank its address and port, and let the port through firewalls.`,
  );
});

const initMethod = "tcp://127.0.0.1:29500";

it.each<[string, ProcessGroupOptions, RegExp]>([
  ["rank", { initMethod, rank: 2, worldSize: 2 }, /^expected a whole number from 0 to 1 for rank, received 2\.$/],
  ["world", { initMethod, worldSize: 0 }, /^expected a whole number from 1 to 1048576 for worldSize, received 0\.$/],
  ["port", { initMethod: { host: "a", port: 0 } }, /^expected a whole number from 1 to 65535 for port, received 0\.$/],
  ["time", { initMethod, timeoutMs: Number.NaN }, /for timeoutMs, received NaN\.$/],
  ["address", { initMethod: "udp://a" }, /^expected "env:\/\/", "tcp:\/\/HOST:PORT" or .* received "udp:\/\/a"\.$/],
  ["bracket", { initMethod: "tcp://[::1]" }, /received "tcp:\/\/\[::1\]"\.$/],
  ["environment", { env: {} }, /^expected RANK, WORLD_SIZE, .* for the environment, received none of them; /],
  ["backend", { initMethod, backend: "nccl" }, /^expected gloo for backend, received "nccl"; a CUDA build of libtorch/],
])("refuses an impossible %s", async (_, options, message) => expect(await refusal(options)).toMatch(message));
