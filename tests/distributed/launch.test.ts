// The supervisor and its ranks as real processes over the loopback interface.
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { describe, expect } from "vitest";
import { bin } from "../support/cli.js";
import { isAlive, it, noted, until } from "../support/launch.js";
import { freePort } from "../support/ranks.js";

const REDUCE = "const sum = (await group.allReduce(Tensor.of([rank + 1]))).item();";
const LOOP = `for (;;) { ${REDUCE} note("sum", sum); await sleep(5); }`;

describe("ranks that come to their end", () => {
  it("compute together, and rank 0 alone writes", async ({ folder, start }) => {
    const body = `${REDUCE} io.stdout.write(rank + ": " + sum + "\\n"); io.stderr.write("busy\\n");
      note("sum", sum); note("threads", config.threads); return 0;`;
    const { status, stdout, stderr } = await start(body, { processes: 3 }).ended;
    expect([status, stdout, stderr]).toEqual([0, "0: 6\n", "busy\n"]);
    for (const rank of [0, 1, 2]) expect(readFileSync(`${folder}/sum-${rank}`, "utf8")).toBe("6");
  });

  it("show on the supervisor's stderr what a rank says apart from its run, once where all say it", async ({
    start,
  }) => {
    const body = `process.stderr.write("[W] odd\\n"); process.stdout.write("dropped\\n"); return 0;`;
    const { status, stdout, stderr } = await start(body, { processes: 3 }).ended;
    expect([status, stdout]).toEqual([0, "dropped\n"]);
    expect(
      stderr
        .replace(/rank [12]/, "rank N")
        .split("\n")
        .sort(),
    ).toEqual(["", "[W] odd", "[rank N] [W] odd"]);
  });
});

describe("a rank that fails ends the job", () => {
  it("with status 2 when it met a mistake of the user's", async ({ start }) => {
    const body = `${REDUCE} if (rank === 0) { ${LOOP} }
      throw new UserError({ operation: "read", argument: "file", expected: "one", received: "none" });`;
    const { status, stderr } = await start(body).ended;
    const lines = stderr.trim().split("\n");
    expect(status).toBe(2);
    expect(lines[0]).toBe("[rank 1] read: expected one for file, received none.");
    expect(lines.at(-1)).toBe("train: rank 1 ended with exit status 2; no process of this machine is left.");
    expect(stderr.match(/ended with/g)).toHaveLength(1);
  });

  it("with status 1 and the name of the rank when it was killed", async ({ folder, start }) => {
    const job = start(LOOP, { processes: 3 });
    await Promise.all([0, 1, 2].map((rank) => noted(folder, `sum-${rank}`)));
    process.kill(Number(await noted(folder, "pid-1")), "SIGKILL");
    const { status, stdout, stderr } = await job.ended;
    expect([status, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^allReduce: .*nothing was heard of rank 1 for \d+ ms\.$/m);
    expect(stderr).toMatch(
      /\ntrain: rank 1 was killed by SIGKILL, as happens when memory runs out; no process of this machine is left\.\n$/,
    );
    expect(stderr).not.toContain("    at ");
    for (const rank of [0, 1, 2]) expect(isAlive(Number(await noted(folder, `pid-${rank}`)))).toBe(false);
  });

  it("when it hangs, after --dist-timeout", async ({ folder, start }) => {
    const job = start(LOOP, { timeout: 2 });
    await Promise.all([0, 1].map((rank) => noted(folder, `sum-${rank}`)));
    const hanging = Number(await noted(folder, "pid-1"));
    process.kill(hanging, "SIGSTOP");
    const { status, stderr } = await job.ended;
    expect(status).toBe(1);
    expect(stderr).toMatch(/^allReduce: .*; nothing was heard of rank 1 for \d+ ms\.\n/);
    expect(stderr).toMatch(
      /\ntrain: rank 0 ended with exit status 1, and rank 1 did not stop and had to be killed; no process of this/,
    );
    expect(isAlive(hanging)).toBe(false);
  });

  it("with a stack and status 1 when the fault is ours", async ({ start }) => {
    const body = `${REDUCE} if (rank === 1) throw new TypeError("x is no function"); ${LOOP}`;
    const { status, stderr } = await start(body).ended;
    expect(status).toBe(1);
    expect(stderr).toContain("[rank 1] TypeError: x is no function\n[rank 1]     at ");
    expect(stderr).toMatch(/\ntrain: rank 1 ended with exit status 1; no process of this machine is left\.\n$/);
  });
});

describe("a job that can't start says why", () => {
  it("when a rank never comes", async ({ start }) => {
    const address = { host: "127.0.0.1", port: await freePort() };
    const options = { processes: 1, machines: 3, address, startTimeout: 4 };
    const jobs = [0, 1].map((machine) => start("return 0;", { ...options, machine }));
    for (const { status, stderr } of await Promise.all(jobs.map(({ ended }) => ended))) {
      expect(stderr).toContain("expected 3 processes within 4000 ms for the world size, received 2 (without rank 2);");
      expect(status).toBe(2);
    }
  });

  it("when the machines disagree on how many they are", async ({ start }) => {
    const address = { host: "127.0.0.1", port: await freePort() };
    const jobs = [2, 3].map((machines, machine) => start("return 0;", { processes: 1, machines, machine, address }));
    for (const { status, stderr } of await Promise.all(jobs.map(({ ended }) => ended))) {
      expect(stderr).toContain("expected 2, as rank 0 has it for the world size, received 3 at rank 1;");
      expect(status).toBe(2);
    }
  });

  it("when the port is taken", async ({ start }) => {
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, resolve));
    const bound = server.address();
    const port = typeof bound === "object" && bound !== null ? bound.port : 0;
    const address = { host: "127.0.0.1", port };
    const { status, stderr } = await start("return 0;", { processes: 1, machines: 2, address }).ended;
    server.close();
    expect(stderr).toContain(`for port ${port}, received one that another process listens on; take another one`);
    expect(status).toBe(2);
  });

  it("when the host does not resolve", async ({ start }) => {
    const address = { host: "no-such-host.invalid", port: 2222 };
    const { status, stderr } = await start("return 0;", { address }).ended;
    expect(stderr).toContain('for host "no-such-host.invalid", received E');
    expect(status).toBe(2);
  });
});

describe("--max-restarts", () => {
  const DIES = `note("start" + (existsSync(folder + "/start1-" + rank) ? 2 : 1), "x"); ${REDUCE}`;

  it("starts all ranks again after one was lost", async ({ folder, start }) => {
    const body = `${DIES} if (rank === 1 && !existsSync(folder + "/start2-1")) process.kill(process.pid, "SIGKILL");
      if (rank === 0) io.stdout.write((await group.allReduce(Tensor.of([rank + 1]))).item() + "\\n");
      else await group.allReduce(Tensor.of([rank + 1]));
      return 0;`;
    const { status, stdout, stderr } = await start(body, { maxRestarts: 1 }).ended;
    expect(stderr).toContain(
      "train: rank 1 was killed by SIGKILL, as happens when memory runs out; starting all ranks again from the last checkpoint (1 of 1).\n",
    );
    expect([status, stdout]).toEqual([0, "3\n"]);
    expect(await noted(folder, "start2-0")).toBe("x");
  });

  it("gives up after so many", async ({ start }) => {
    const body = `${REDUCE} process.kill(process.pid, "SIGKILL"); await forever();`;
    const { status, stderr } = await start(body, { maxRestarts: 2 }).ended;
    expect(status).toBe(1);
    expect(stderr.match(/\((\d of 2)\)/g)).toEqual(["(1 of 2)", "(2 of 2)"]);
    expect(stderr).toMatch(/; no process of this machine is left\.\n$/);
  });

  it("leaves a mistake of the user's alone", async ({ start }) => {
    const body = `throw new UserError({ operation: "read", argument: "file", expected: "one", received: "none" });`;
    const { status, stderr } = await start(body, { maxRestarts: 2 }).ended;
    expect(status).toBe(2);
    expect(stderr).not.toContain("again");
  });
});

describe("a signal to the supervisor", () => {
  const SAVES = `const guard = new InterruptGuard();
    note("ready", "x");
    for (;;) { try { await guard.check(); } catch (error) { note("saved", error.signal); throw error; } await sleep(5); }`;

  it.for([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s lets each rank save, and is the exit status", async ([signal, expected], { folder, start }) => {
    const job = start(SAVES);
    await Promise.all([0, 1].map((rank) => noted(folder, `ready-${rank}`)));
    job.child.kill(signal);
    const { status, stdout, stderr } = await job.ended;
    expect([status, stdout, stderr]).toEqual([expected, "", ""]);
    for (const rank of [0, 1]) expect(await noted(folder, `saved-${rank}`)).toBe(signal);
  });

  it("kills the ranks when it comes twice", { retry: 1 }, async ({ folder, start }) => {
    const body = `process.on("SIGTERM", () => note("heard", "x")); note("ready", "x"); await forever();`;
    const job = start(body);
    await Promise.all([0, 1].map((rank) => noted(folder, `ready-${rank}`)));
    job.child.kill("SIGTERM");
    await Promise.all([0, 1].map((rank) => noted(folder, `heard-${rank}`)));
    job.child.kill("SIGTERM");
    expect(await job.ended).toMatchObject({ status: 143, stderr: "" });
  });

  it("SIGKILL ends the ranks, too, be they blocked or not, and lets them save", async ({ folder, start }) => {
    const blocked = `note("ready", "x"); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);`;
    const job = start(`if (rank === 1) { ${blocked} } ${SAVES}`);
    await Promise.all([0, 1].map((rank) => noted(folder, `ready-${rank}`)));
    const pids = [Number(await noted(folder, "pid-0")), Number(await noted(folder, "pid-1"))];
    expect(pids.map(isAlive)).toEqual([true, true]);
    job.child.kill("SIGKILL");
    await until(() => !pids.some(isAlive));
    expect(await noted(folder, "saved-0")).toBe("SIGTERM");
  });
});

describe("peekaboo train --nproc-per-node", () => {
  const SMALL =
    "--arch PsgResNet20 --optimizer BOP --width 0.25 --bs 16 --train-limit 64 --test-limit 32 --exp-name run".split(
      " ",
    );

  function peekaboo(folder: string, ...args: string[]) {
    const child = spawn(process.execPath, [bin, "train", ...SMALL, "--savedir", folder, ...args]);
    const output = { stdout: "", stderr: "" };
    child.stdout.on("data", (bytes) => {
      output.stdout += bytes;
    });
    child.stderr.on("data", (bytes) => {
      output.stderr += bytes;
    });
    const ended = new Promise<{ status: number | null }>((resolve) =>
      child.once("close", (status) => resolve({ status })),
    );
    return { child, output, ended };
  }

  it("2 trains, and says what one process would", async ({ folder }) => {
    const { output, ended } = peekaboo(folder, ..."--nproc-per-node 2 --max-steps 2 --json".split(" "));
    const { status } = await ended;
    expect(status, output.stderr).toBe(0);
    expect(output.stderr).not.toMatch(/rank|Error/);
    const lines = output.stdout.trim().split("\n");
    expect(lines.filter((line) => line.startsWith("{"))).toHaveLength(1);
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({ arch: "PsgResNet20", steps: 2 });
  });

  it("2 trains the same when BatchNorm's statistics are estimated before each test", async ({ folder }) => {
    const two = "--nproc-per-node 2 --threads 1 --epochs 2".split(" ");
    const told = async (name: string, bnBatches: string) => {
      const { output, ended } = peekaboo(folder, ...two, "--exp-name", name, "--bn-batches", bnBatches);
      expect((await ended).status, output.stderr).toBe(0);
      const lines = readFileSync(`${folder}/${name}/metrics.jsonl`, "utf8").trim().split("\n");
      const all = lines.map((line) => ({ ...JSON.parse(line), seconds: 0, imagesPerSecond: 0 }));
      return { training: all.filter(({ kind }) => kind !== "eval"), tests: all.filter(({ kind }) => kind === "eval") };
    };
    const [own, anew] = [await told("own", "0"), await told("anew", "3")];
    expect(anew.training).toEqual(own.training);
    expect(anew.tests).toHaveLength(2);
    expect(anew.tests).not.toEqual(own.tests);
  });

  it("goes on from the checkpoint after a process was killed", async ({ folder }) => {
    const { child, output, ended } = peekaboo(
      folder,
      ..."--nproc-per-node 2 --max-restarts 1 --epochs 6 --threads 1".split(" "),
    );
    await until(() => output.stderr.includes("Epoch 2:"));
    const second = childrenOf(Number(child.pid)).find((pid) =>
      readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes("RANK=1"),
    );
    process.kill(Number(second), "SIGKILL");
    const { status } = await ended;
    expect(status, output.stderr).toBe(0);
    expect(output.stderr).toMatch(/train: rank 1 was killed by SIGKILL,.* from the last checkpoint \(1 of 1\)\.\n/);
    expect(output.stderr).toMatch(/\nResuming .*checkpoint.safetensors after step \d+\.\n/);
    expect(output.stderr.match(/^Epoch 6:/gm)).toHaveLength(1);
  });

  it("refuses a mistake before it starts any process", async ({ folder }) => {
    const { output, ended } = peekaboo(folder, "--nproc-per-node", "2", "--world-size", "2");
    expect(await ended).toEqual({ status: 2 });
    expect(output).toEqual({
      stdout: "",
      stderr:
        "start several processes: expected this machine's number, from 0 to 1 for --rank, received none beside --world-size; add it.\n",
    });
  });
});

function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number),
  );
}
