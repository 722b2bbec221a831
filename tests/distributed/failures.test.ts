import { describe, expect, it } from "vitest";
import { STRANGERS, Stranger } from "../faults/sockets.js";
import { freePort, type Outcome, RankProcess } from "../support/ranks.js";

interface Failure {
  name: string;
  message: string;
  ranks?: number[];
}

const failureOf = ({ answer }: Outcome) => (answer as { error: Failure }).error;

async function outcomes(bodies: readonly string[], worldSizes: readonly number[], ranks = [0, 1, 2, 3]) {
  const port = await freePort();
  const started = bodies.map(
    (body, i) => new RankProcess(body, { port, rank: ranks[i] ?? 0, worldSize: worldSizes[i] ?? 1 }),
  );
  return Promise.all(started.map((process) => process.outcome));
}

it("a rank that is killed fails the others' collectives, with its number, whether they await or block", async () => {
  const body = `
    const group = await join();
    const tensor = Tensor.of(new Array(1000).fill(rank));
    await group.allReduce(tensor);
    console.log("together");
    if (rank === 2) setInterval(() => {}, 1000), await new Promise(() => {});
    const reduce = rank === 0 ? () => group.allReduce(tensor) : () => group.allReduce(tensor).wait();
    const error = await caught(reduce);
    const again = await caught(reduce);
    group.destroy();
    return { error, again };`;
  const port = await freePort();
  const ranks = [0, 1, 2].map((rank) => new RankProcess(body, { port, rank, worldSize: 3 }));
  await Promise.all(ranks.map((process) => process.says("together")));
  ranks[2]?.child.kill("SIGKILL");
  const [first, second, third] = await Promise.all(ranks.map((process) => process.outcome));
  expect(third?.signal).toBe("SIGKILL");
  for (const outcome of [first, second]) {
    const { error, again } = (outcome as Outcome).answer as { error: Failure; again: Failure };
    expect(error.name).toBe("DistributedError");
    expect(error.message).toMatch(/^allReduce: .*; nothing was heard of rank 2 for \d+ ms$/);
    expect(error.ranks).toEqual([2]);
    expect(again.message).toMatch(/^allReduce: the process group ended before, when /);
    expect([outcome?.status, outcome?.stderr]).toEqual([0, ""]);
  }
});

describe("a rank that hangs", () => {
  it("is named by a monitored barrier, to every rank that came", async () => {
    const body = `
      const group = await join();
      await group.monitoredBarrier();
      const error = rank === 2 ? null : await caught(() => group.monitoredBarrier(1500));
      if (rank === 2) await group.store.wait(["over/0", "over/1"]);
      else await group.store.set("over/" + rank, "");
      await group.barrier();
      group.destroy();
      return { error };`;
    const all = await outcomes([body, body, body], [3, 3, 3]);
    const errors = all.map(({ answer }) => (answer as { error: Failure | null }).error);
    const expected = {
      name: "DistributedError",
      message: "monitoredBarrier: rank 2 did not come within 1500 ms",
      ranks: [2],
    };
    expect(errors).toEqual([expected, expected, null]);
  });

  it("fails the others' collectives when the time is up", async () => {
    const body = `
      const group = await join({ timeoutMs: 4000, startTimeoutMs: 60000 });
      const error = rank === 1 ? null : await caught(() => group.barrier());
      if (rank === 1) await group.store.wait(["over"]);
      else await group.store.set("over", "");
      group.destroy();
      return { error };`;
    const [first, second] = await outcomes([body, body], [2, 2]);
    const { error } = (first as Outcome).answer as { error: Failure };
    expect(error.message).toMatch(/^barrier: not every rank took part within 4000 ms; nothing was heard of rank 1/);
    expect(error.ranks).toEqual([1]);
    expect([first?.status, second?.status]).toEqual([0, 0]);
  });
});

describe("a job that can't start says why, in one sentence, in each process that is there", () => {
  const join = "(await join()).destroy();";

  it("when a rank never comes", async () => {
    const port = await freePort();
    const first = new RankProcess(`console.log("here"); ${join}`, { port, rank: 0, worldSize: 3 });
    await first.says("here");
    const second = new RankProcess("await join({ timeoutMs: 3000 });", { port, rank: 1, worldSize: 3 });
    const message =
      "join the process group: expected 3 processes within 3000 ms for the world size, received 2 (without rank 2); start the missing ones, and look at their output.";
    for (const outcome of [await first.outcome, await second.outcome]) {
      expect(failureOf(outcome)).toMatchObject({ name: "UserError", message });
    }
  });

  it("when the ranks disagree on how many they are", async () => {
    const [first, second] = await outcomes([join, join], [2, 3]);
    const message =
      "join the process group: expected 2, as rank 0 has it for the world size, received 3 at rank 1; start every process with the same world size.";
    expect(failureOf(first as Outcome)).toMatchObject({ name: "UserError", message });
    expect(failureOf(second as Outcome)).toMatchObject({ name: "UserError", message });
  });

  it("when two have the same rank", async () => {
    const all = await outcomes([join, join, join], [3, 3, 3], [0, 1, 1]);
    for (const outcome of all) {
      expect(failureOf(outcome)).toMatchObject({
        name: "UserError",
        message: expect.stringContaining("expected one process of rank 1 for rank, received a second one"),
      });
    }
  });

  it.each(Object.entries(STRANGERS))("when a server that is %s listens there", async (_, { greet, found }) => {
    const stranger = await Stranger.start(greet);
    const options = `{ initMethod: "tcp://localhost:${stranger.port}", rank: 1, worldSize: 2, timeoutMs: 1500 }`;
    const [outcome] = await outcomes([`await join(${options});`], [2], [1]);
    stranger.stop();
    const { name, message } = failureOf(outcome as Outcome);
    expect(message).toMatch(
      /^join the process group: expected the store of rank 0 for localhost:\d+, received a program that \w+ .*; give every rank of a job the same address, with a port that no other program and no other job has\.$/,
    );
    expect(message).toMatch(found);
    expect([name, outcome?.status, outcome?.stderr]).toEqual(["UserError", 0, ""]);
  });

  it("when another job's store does", async () => {
    const port = await freePort();
    const first = new RankProcess("await join({ token: 'one' });", { port, rank: 0, worldSize: 2 });
    const body = "await join({ token: 'two', timeoutMs: 20000 });";
    const second = await new RankProcess(body, { port, rank: 1, worldSize: 2 }).outcome;
    first.child.kill("SIGKILL");
    expect(failureOf(second)).toMatchObject({
      name: "UserError",
      message: expect.stringContaining(`for 127.0.0.1:${port}, received the store of another job; give every rank`),
    });
  });
});

// With Gloo's and the store's threads at work.
describe("a process that ends", () => {
  it("in the middle of a collective ends at once and in order, however it ends", async () => {
    const body = (end: string) => `
      const group = await join();
      if (rank !== 3) group.allReduce(Tensor.of([1]));
      ${end};`;
    const ends = [
      "await group.store.wait(['gone/1', 'gone/2', 'gone/3']); setTimeout(() => { throw new Error('as planned'); })",
      "await group.store.set('gone/1', ''); process.exit(5)",
      "await group.store.set('gone/2', ''); group.destroy()",
      "await group.store.set('gone/3', ''); await caught(() => group.barrier()); process.exitCode = 6",
    ];
    const all = await outcomes(ends.map(body), [4, 4, 4, 4]);
    expect(all.map(({ status, signal }) => status ?? signal)).toEqual([1, 5, 0, 6]);
  });

  it("may be a thread", async () => {
    const port = await freePort();
    const thread = `
      const { Worker } = await import("node:worker_threads");
      const code = \`
        import { distributed, Tensor } from "${new URL("../../packages/torch/dist/index.js", import.meta.url).href}";
        import { parentPort, workerData } from "node:worker_threads";
        const [rank, port] = workerData;
        const group = await distributed.initProcessGroup({ initMethod: "tcp://127.0.0.1:" + port, rank, worldSize: 2 });
        parentPort.postMessage((await group.allReduce(Tensor.of([rank + 1]))).toArray());
        if (rank === 0) group.allReduce(Tensor.of([1]));
      \`;
      const url = new URL("data:text/javascript," + encodeURIComponent(code));
      const workers = [0, 1].map((rank) => new Worker(url, { workerData: [rank, port] }));
      const sums = await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once("message", resolve))));
      await Promise.all(workers.map((worker) => worker.terminate()));
      return sums;`;
    const { answer, status, stderr } = await new RankProcess(thread, { port, rank: 0, worldSize: 1 }).outcome;
    expect([answer, status, stderr]).toEqual([[[3], [3]], 0, ""]);
  });
});
