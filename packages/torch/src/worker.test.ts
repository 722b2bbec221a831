import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { native } from "./native.js";
import { liveTensorCount } from "./scope.js";
import { Tensor } from "./tensor.js";

const ADDON = fileURLToPath(new URL("../build/Release/torch.node", import.meta.url));

/** A thread with the addon as `torch`, and functions of one operator each. */
function thread(body: string): Worker {
  const code = `
    const { parentPort, workerData } = require("node:worker_threads");
    const torch = require(workerData);
    const op = (name) => torch.call.bind(null, torch.op("aten::" + name));
    const vector = (...values) => torch.fromBytes(new Uint8Array(Float32Array.from(values).buffer), "float32", [values.length], false);
    const values = (handle) => { const array = new Float32Array(torch.shape(handle)[0]); torch.readInto(handle, new Uint8Array(array.buffer)); return [...array]; };
    ${body}`;
  return new Worker(code, { eval: true, workerData: ADDON });
}

async function answerOf(worker: Worker): Promise<unknown> {
  // Both from the start: a thread's last message and its end may come in one turn.
  const [[answer], [status]] = (await Promise.all([once(worker, "message"), once(worker, "exit")])) as [
    [unknown],
    [number],
  ];
  expect(status).toBe(0);
  return answer;
}

describe("worker threads", () => {
  it("compute and differentiate side by side, each with its own tensors, count and noGrad", async () => {
    const before = liveTensorCount();
    const gradOff = native().setGradEnabled(false);
    const answers = await Promise.all(
      [1, 2, 3].map((factor) =>
        answerOf(
          thread(`
            const mul = op("mul.Tensor"), sum = op("sum");
            const x = vector(1, 2, 3);
            torch.setRequiresGrad(x, true);
            for (let i = 0; i < 500; i++) torch.backward([sum(mul(mul(x, x), vector(${factor}, 0, 1)))], [], false, false);
            parentPort.postMessage([values(torch.getGrad(x)), torch.liveTensorCount() > 500]);
          `),
        ),
      ),
    );
    native().setGradEnabled(gradOff);
    expect(answers).toEqual([1, 2, 3].map((factor) => [[1000 * factor, 0, 3000], true]));
    expect(liveTensorCount()).toBe(before);
  });

  it("may end in the middle of anything, and leave this thread's tensors alone", async () => {
    const mine = Tensor.of([1, 2]);
    for (let i = 0; i < 8; i++) {
      const worker = thread(`
        const mul = op("mul.Tensor"), sum = op("sum");
        const lent = new Float32Array(1000).fill(1);
        const kept = [];
        parentPort.postMessage("going");
        for (;;) {
          const x = torch.fromBytes(new Uint8Array(lent.buffer), "float32", [1000], true);
          torch.setRequiresGrad(x, true);
          const y = sum(mul(x, x));
          torch.backward([y], [], true, false);
          if (kept.push(y, torch.getGrad(x)) > 1000) kept.length = 0;
          try { torch.call(0, x, 3); } catch { }
        }
      `);
      await once(worker, "message");
      await new Promise((resolve) => setTimeout(resolve, 5 * i));
      await worker.terminate();
    }
    expect(mine.add(mine).toArray()).toEqual([2, 4]);
    mine.dispose();
  });

  it("may exit with tensors and lent buffers alive", async () => {
    const worker = thread(`
      globalThis.kept = [vector(1), torch.fromBytes(new Uint8Array(8), "float32", [2], true)];
      parentPort.postMessage(torch.liveTensorCount());
      process.exit(0);
    `);
    expect(await answerOf(worker)).toBe(2);
  });
});
