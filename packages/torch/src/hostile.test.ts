import { copyFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { sharedFolder } from "../../../tests/support/folder.js";
import type { Native } from "./native.js";

// The addon itself, without the types and checks that TypeScript puts before it: whatever it is given, it must throw
// an Error or return. A crash would end this file's process.

const ADDON = fileURLToPath(new URL("../build/Release/torch.node", import.meta.url));
const require = createRequire(import.meta.url);
const addon = require(ADDON) as Native;
const functions = new Map(Object.entries(addon) as unknown as [string, (...args: unknown[]) => unknown][]);

const folder = sharedFolder();

/** Another addon's external value: the same addon's under another name, which knows nothing of this one's handles. */
function foreignExternal(): unknown {
  const path = join(folder, "other.node");
  copyFileSync(ADDON, path);
  return (require(path) as Native).fromBytes(new Uint8Array(4), "float32", [1], false);
}
const foreign = foreignExternal();

const tensor = addon.fromBytes(new Uint8Array(8), "float32", [2], false);
const dead = addon.fromBytes(new Uint8Array(8), "float32", [2], false);
addon.dispose(dead);

const revoked = Proxy.revocable([], {});
revoked.revoke();

const hostile: [string, unknown][] = [
  ["undefined", undefined],
  ["null", null],
  ["true", true],
  ["0", 0],
  ["-1", -1],
  ["1.5", 1.5],
  ["1e9", 1e9],
  ["NaN", Number.NaN],
  ["-Infinity", Number.NEGATIVE_INFINITY],
  ["2^53", 2 ** 53],
  ["5n", 5n],
  ["2n^70", 2n ** 70n],
  ["an empty string", ""],
  ["a string with NUL", "a\0b"],
  ["float32", "float32"],
  ["a long string", "x".repeat(100_000)],
  ["a lone surrogate", "\ud800"],
  ["a symbol", Symbol("s")],
  ["an object", {}],
  ["a function", () => tensor],
  ["an empty array", []],
  ["an array of undefined", [undefined]],
  ["a sparse array", new Array(2 ** 32 - 1)],
  ["an array of tensors", [tensor, tensor]],
  ["an array with a dead tensor", [dead]],
  ["a proxy", new Proxy([], {})],
  ["a revoked proxy", revoked.proxy],
  ["a tensor", tensor],
  ["a dead tensor", dead],
  ["another addon's external", foreign],
  ["a Uint8Array", new Uint8Array(8)],
  ["a Float64Array", new Float64Array(1)],
  ["a DataView", new DataView(new ArrayBuffer(8))],
  ["an ArrayBuffer", new ArrayBuffer(8)],
  ["a Date", new Date(0)],
  ["a promise", Promise.resolve()],
];

/** Calls a function of the addon and checks that it threw nothing but an Error. */
function attempt(run: (...args: unknown[]) => unknown, args: readonly unknown[]): void {
  try {
    run(...args);
  } catch (error) {
    expect(error).toBeInstanceOf(Error);
  }
}

describe("every function of the addon withstands", () => {
  // These change what later tests see.
  const changing = new Set(["dispose", "setGradEnabled", "setThreads"]);
  const tried = [...functions].filter(([name]) => !changing.has(name));

  it.each(tried)("%s: any one or two arguments, and any last one", (_, run) => {
    attempt(run, []);
    for (const [, first] of hostile) {
      attempt(run, [first]);
      for (const [, second] of hostile) attempt(run, [first, second]);
      attempt(run, [tensor, tensor, first]);
      attempt(run, [[tensor], [], first, first, first, first]);
      attempt(run, [new Uint8Array(8), "float32", first, true]);
      attempt(run, [new Uint8Array(8), first, [2], false]);
    }
    expect(addon.shape(tensor)).toEqual([2]);
  });

  it("call: any argument of operators of every argument type", () => {
    const names = ["add.Tensor", "cat", "index.Tensor", "view", "conv2d", "zeros", "full", "clamp", "einsum", "clone"];
    for (const name of names) {
      const op = addon.op(`aten::${name}`);
      if (op === null) throw new Error(`no ${name}`);
      const call = addon.call as (...args: unknown[]) => unknown;
      for (const [, value] of hostile) {
        attempt(call, [op, value]);
        attempt(call, [op, tensor, value]);
        attempt(call, [op, tensor, tensor, value]);
        attempt(call, [op, [1], null, value]);
        attempt(call, [op, [tensor, value]]);
      }
    }
  });

  it("dispose: any argument, twice", () => {
    for (const [name, value] of hostile.filter(([, value]) => value !== tensor)) {
      for (let i = 0; i < 2; i++) {
        if (name === "a dead tensor") addon.dispose(dead);
        else expect(() => addon.dispose(value as typeof tensor), name).toThrow("expected a Tensor for 'tensor'");
      }
    }
  });

  it("setThreads and setGradEnabled: all but what they are for", () => {
    const threads = addon.getThreads();
    for (const [name, value] of hostile) {
      if (name !== "5n") expect(() => addon.setThreads(value as number), name).toThrow(/from 1 to 1024|an integer/);
      if (name !== "true") expect(() => addon.setGradEnabled(value as boolean), name).toThrow("expected a boolean");
    }
    expect(addon.getThreads()).toBe(threads);
    expect(addon.setGradEnabled(true)).toBe(true);
  });
});

describe("the addon", () => {
  it("does not take another addon's external, an operator's number or a dead tensor for a tensor", () => {
    const received = (value: unknown) => {
      try {
        addon.shape(value as typeof tensor);
      } catch (error) {
        return (error as Error).message;
      }
      return "nothing";
    };
    expect(received(foreign)).toBe("expected a Tensor for 'tensor', received an object");
    expect(received(addon.op("aten::neg"))).toMatch(/^expected a Tensor for 'tensor', received \d+$/);
    expect(received(dead)).toBe("expected a live Tensor for 'tensor', received one that was disposed of");
    expect(addon.isLive(foreign as typeof tensor)).toBe(false);
  });

  it("does not take a number for an operator that it has not given", () => {
    for (const number of [-1, 1e6, 0.5 + 1e6, Number.NaN, 2 ** 40]) {
      expect(() => addon.call(number as never)).toThrow("expected an operator of op() for 'operator'");
    }
  });

  it("does not read or write past a buffer", () => {
    const float = (bytes: number, shape: number[]) => () =>
      addon.fromBytes(new Uint8Array(bytes), "float32", shape, true);
    expect(float(8, [3])).toThrow("expected 12 bytes for this shape and dtype, received 8");
    expect(float(0, [2 ** 32, 2 ** 32])).toThrow("the shape is too large");
    expect(float(4, [-1])).toThrow("expected an integer from 0 to");
    expect(() => addon.readInto(tensor, new Uint8Array(7))).toThrow("expected 8 bytes");
    const detached = new Uint8Array(8);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    expect(() => addon.readInto(tensor, detached)).toThrow("expected 8 bytes for this shape and dtype, received 0");
    expect(() => addon.fromBytes(new Uint8Array(9).subarray(1), "float32", [2], true)).toThrow("not aligned");
  });
});
