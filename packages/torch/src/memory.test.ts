import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { MessageChannel } from "node:worker_threads";
import { UserError } from "@peekaboo/files/errors";
import { beforeEach, describe, expect, it } from "vitest";
import { empty, zeros } from "./generated/ops.js";
import { native } from "./native.js";
import { keep, liveTensorCount, scope } from "./scope.js";
import { Tensor } from "./tensor.js";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const MEGABYTE = 2 ** 20;

/** Megabytes outside its heap that V8 knows of, buffers included. */
function external(): number {
  return native().externalMemory() / MEGABYTE;
}

/** Lets finalisers run, which come in turns of the event loop after a collection. */
async function collected(): Promise<void> {
  for (let i = 0; i < 5; i++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe("V8 is told", () => {
  // What others left is collected first: told of a large tensor, V8 would collect it in between.
  beforeEach(collected);

  it("of a tensor's bytes once, however many views there are, until the last one goes", () => {
    const before = external();
    const tensor = zeros([64, MEGABYTE / 4]);
    expect(external() - before).toBeCloseTo(64, 0);
    const view = tensor.select(0, 3);
    const detached = tensor.detach();
    expect(external() - before).toBeCloseTo(64, 0);
    tensor.dispose();
    detached.dispose();
    expect(external() - before).toBeCloseTo(64, 0);
    view.dispose();
    view.dispose();
    expect(external() - before).toBeCloseTo(0, 0);
  });

  it("nothing of what a scope will free, until it is kept", () => {
    const before = external();
    const kept = scope(() => {
      const tensors = [zeros([64, MEGABYTE / 4]), zeros([32, MEGABYTE / 4])] as const;
      expect(external() - before).toBeCloseTo(0, 0);
      const view = keep(tensors[1].select(0, 3));
      expect(external() - before).toBeCloseTo(32, 0);
      return view;
    });
    expect(external() - before).toBeCloseTo(32, 0);
    kept.dispose();
    expect(external() - before).toBeCloseTo(0, 0);
  });

  it("of what is moved into a tensor that was kept", () => {
    const before = external();
    const kept = zeros([3]);
    scope(() => void kept.become(zeros([64, MEGABYTE / 4])));
    expect(external() - before).toBeCloseTo(64, 0);
    kept.dispose();
    expect(external() - before).toBeCloseTo(0, 0);
  });

  it("nothing of memory that it lent itself", () => {
    const array = new Float32Array(4 * MEGABYTE);
    const before = external();
    const shared = Tensor.from(array, { share: true });
    const view = shared.narrow(0, 0, 2);
    expect(external() - before).toBeCloseTo(0, 0);
    shared.dispose();
    view.dispose();
    expect(external() - before).toBeCloseTo(0, 0);
  });
});

describe("a tensor that nobody holds", () => {
  it("is freed by the garbage collector, bytes and count", async () => {
    await collected();
    const [count, before] = [liveTensorCount(), external()];
    const forget = () => void [zeros([16, MEGABYTE / 4]), zeros([3])];
    forget();
    expect(liveTensorCount()).toBe(count + 2);
    await collected();
    expect(liveTensorCount()).toBe(count);
    expect(external() - before).toBeCloseTo(0, 0);
  });

  it("makes V8 collect garbage by its size, before memory runs out", async () => {
    const count = liveTensorCount();
    let most = 0;
    for (let i = 0; i < 300; i++) {
      empty([16, MEGABYTE / 4]);
      most = Math.max(most, liveTensorCount() - count);
      if (i % 10 === 0) await new Promise(setImmediate);
    }
    expect(most).toBeLessThan(200);
  });

  it("that shared an array lets it go, after its last view", async () => {
    let freed = 0;
    const registry = new FinalizationRegistry(() => freed++);
    const view = (() => {
      const array = new Float32Array(1000).fill(3);
      registry.register(array.buffer, 0);
      return scope(() => Tensor.from(array, { share: true }).narrow(0, 10, 1));
    })();
    await collected();
    expect([freed, view.item()]).toEqual([0, 3]);
    view.dispose();
    await collected();
    expect(freed).toBe(1);
  });
});

describe("an array that a tensor shares", () => {
  it("shows writes of either side to the other, from its own offset", () => {
    const array = Float32Array.of(0, 1, 2, 3);
    scope(() => {
      const tensor = Tensor.from(array.subarray(1, 3), { share: true });
      array[1] = 10;
      expect(tensor.toArray()).toEqual([10, 2]);
      tensor.mul_(2);
      expect([...array]).toEqual([0, 20, 4, 3]);
    });
  });

  it("can be empty, on a SharedArrayBuffer, or bytes that stand for booleans", () => {
    scope(() => {
      expect(Tensor.from(new Float32Array(0), { share: true }).toArray()).toEqual([]);
      const memory = new Int32Array(new SharedArrayBuffer(8));
      Tensor.from(memory, { share: true }).fill_(7);
      expect([...memory]).toEqual([7, 7]);
      const bytes = Uint8Array.of(1, 0);
      const flags = Tensor.from(bytes, { dtype: "bool", share: true });
      expect([flags.dtype, flags.toArray()]).toEqual(["bool", [1, 0]]);
    });
  });

  it("can't be transferred away under the tensor", () => {
    const array = Float32Array.of(1, 2);
    const tensor = Tensor.from(array, { share: true });
    const { port1, port2 } = new MessageChannel();
    try {
      port1.postMessage(array.buffer, [array.buffer]);
    } catch (error) {
      // Since Node 21; before, the memory is copied.
      expect(error).toMatchObject({ name: "DataCloneError" });
    }
    for (const port of [port1, port2]) port.close();
    expect(array.byteLength).toBe(8);
    expect(tensor.toArray()).toEqual([1, 2]);
    tensor.dispose();
  });

  it("must be of the tensor's dtype, of a fixed length, and of 0 and 1 for bool", () => {
    const share = (data: Float32Array | Uint8Array, dtype: "float32" | "bool") => () =>
      Tensor.from(data, { dtype, share: true });
    expect(share(new Uint8Array(2), "float32")).toThrow(
      new UserError({
        operation: "share an array's memory",
        argument: "dtype",
        expected: "the array's own, uint8",
        received: "float32",
        remedy: "leave `share` out to copy it",
      }),
    );
    expect(share(Uint8Array.of(0, 2), "bool")).toThrow("expected bytes of 0 or 1 for bool for data, received 2");
    const Resizable = ArrayBuffer as unknown as new (length: number, options: { maxByteLength: number }) => ArrayBuffer;
    const resizable = new Float32Array(new Resizable(8, { maxByteLength: 16 }), 0, 2);
    expect(share(resizable, "float32")).toThrow("expected a buffer of fixed length for data, received a resizable one");
  });
});
