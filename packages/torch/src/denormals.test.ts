import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { afterEach, describe, expect, it } from "vitest";

const TORCH = new URL("../dist/index.js", import.meta.url).href;

/**
 * A program's beginning. `probe()` counts by operation the results that are not zero though a flushed denormal would be:
 * in elements enough that every thread computes some of them.
 */
const PROBE = `
  const { full, ops, scope, setThreads, Tensor } = torch;
  const COUNT = 8 * 32768;
  const nonzeros = (tensor) => {
    let count = 0;
    for (const value of tensor.toTypedArray()) if (value !== 0) count++;
    return count;
  };
  const denormal = Tensor.from(new Float32Array(COUNT).fill(1e-40));
  const small = (...shape) => full(shape, 1e-22);
  const probe = () => scope(() => {
    const parameter = small(COUNT).requireGrad();
    ops.sum(ops.mul(parameter, parameter).mul(1e-22)).backward();
    const weight = small(16, 16, 3, 3).requireGrad();
    const convolved = ops.conv2d(small(8, 16, 32, 32), weight, { padding: [1, 1] });
    ops.sum(convolved.mul(1e-22)).backward();
    return {
      results: nonzeros(ops.mul(small(COUNT), small(COUNT))),
      operands: nonzeros(denormal.mul(1e20)),
      gradients: nonzeros(parameter.grad),
      convolution: nonzeros(convolved),
      itsGradient: nonzeros(weight.grad),
      product: nonzeros(ops.matmul(small(256, 256), small(256, 256))),
      doubles: nonzeros(full([COUNT], 1e-160, { dtype: "float64" }).mul(1e-160)),
    };
  });
  const inJavaScript = () => [Number.MIN_VALUE * 1, JSON.parse("1e-310") / 2, 2 ** -1000 * 2 ** -60, Math.fround(1e-40)];`;
const NONE = { results: 0, operands: 0, gradients: 0, convolution: 0, itsGradient: 0, product: 0, doubles: 0 };
const LANGUAGE = [Number.MIN_VALUE, 5e-311, 2 ** -1060, Math.fround(1e-40)];

/** What `body` returns in a process of its own, whose threads all begin there. */
function run(body: string): unknown {
  const code = `import * as torch from ${JSON.stringify(TORCH)}; ${PROBE}
    console.log(JSON.stringify((() => { ${body} })()));`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8" });
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

const workers: Worker[] = [];
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.terminate()));
});

describe("denormal numbers", () => {
  it("are flushed to zero by every thread of pools of any size, whichever comes first", () => {
    const answers = run(
      "return [2, 8, 1, 3, 4].map((threads) => { setThreads(threads); return [probe(), inJavaScript()]; });",
    );
    expect(answers).toEqual(Array(5).fill([NONE, LANGUAGE]));
  });

  it("are flushed by threads that begin in a backward pass, or where a tensor is read", () => {
    expect(
      run(`setThreads(4);
           const parameter = small(COUNT).requireGrad();
           setThreads(1);
           const loss = ops.sum(ops.mul(parameter, parameter).mul(1e-22));
           setThreads(4);
           loss.backward();
           return [nonzeros(parameter.grad), probe()];`),
    ).toEqual([0, NONE]);
    expect(
      run(`setThreads(1);
           const part = small(1024, 2048).narrow(1, 0, 1024);
           setThreads(4);
           return [nonzeros(part), probe()];`),
    ).toEqual([2 ** 20, NONE]);
  });

  it("are flushed in worker threads, whose JavaScript keeps them", async () => {
    const program = `
      const { parentPort } = require("node:worker_threads");
      import(${JSON.stringify(TORCH)}).then((torch) => {
        ${PROBE}
        setThreads(2);
        parentPort.postMessage([probe(), inJavaScript()]);
      });`;
    const answers = [1, 2].map(async () => {
      const worker = new Worker(program, { eval: true });
      workers.push(worker);
      const [answer] = await once(worker, "message");
      return answer;
    });
    expect(await Promise.all(answers)).toEqual(Array(2).fill([NONE, LANGUAGE]));
  });

  it("are read and stored as they are", () => {
    expect(
      run(`const values = [1e-40, -1e-42, 1e-38];
           const tensor = Tensor.from(Float32Array.from(values));
           const wide = Tensor.from(Float64Array.of(5e-324));
           return [[...tensor.toFloat32Array()], tensor.select(0, 0).item(), wide.item(), wide.clone().item()];`),
    ).toEqual([[1e-40, -1e-42, 1e-38].map(Math.fround), Math.fround(1e-40), 5e-324, 5e-324]);
  });

  it("stay flushed after an operator has failed, and JavaScript its own", () => {
    expect(
      run(`let failed = false;
           try { ops.matmul(small(2, 3), small(2, 3)); } catch { failed = true; }
           return [failed, inJavaScript(), probe()];`),
    ).toEqual([true, LANGUAGE, NONE]);
  });
});
