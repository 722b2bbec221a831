import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import * as ops from "./generated/ops.js";
import {
  buildInformation,
  checkDevice,
  devices,
  getThreads,
  loadLibrary,
  manualSeed,
  setDeterministic,
  setThreads,
  torchVersion,
} from "./runtime.js";
import { scope } from "./scope.js";

describe("setThreads", () => {
  const before = getThreads();
  afterEach(() => setThreads(before));

  it("sets how many threads one operation uses", () => {
    setThreads(1);
    expect(getThreads()).toBe(1);
    setThreads(2);
    expect(getThreads()).toBe(2);
  });

  it.each([0, -1, 1.5, Number.NaN, 1025, "2"])("refuses %s", (threads) => {
    expect(() => setThreads(threads as number)).toThrow(
      `set threads: expected a whole number from 1 to 1024 for threads, received ${threads}`,
    );
    expect(getThreads()).toBe(before);
  });
});

describe("checkDevice", () => {
  it("gives the full name of a device that is there", () => {
    expect(devices()[0]).toBe("cpu");
    for (const device of devices()) expect(checkDevice(device)).toBe(device);
  });

  it("names those that are there for one that is not", () => {
    expect(() => checkDevice("tpu")).toThrow(
      `choose device: expected ${devices().join(" or ")} for device, received "tpu"`,
    );
    expect(() => checkDevice("cuda:99")).toThrow("a CUDA build of libtorch");
  });
});

describe("manualSeed", () => {
  const draw = () => scope(() => ops.rand([4]).toArray());

  it("makes libtorch draw the same numbers again", () => {
    manualSeed(5);
    const first = draw();
    expect(draw()).not.toEqual(first);
    manualSeed(5);
    expect(draw()).toEqual(first);
  });

  it.each([-1, 0.5, Number.NaN, 2 ** 53])("refuses %s", (seed) => {
    expect(() => manualSeed(seed)).toThrow(/^manualSeed: expected an integer .* for 'seed', received/);
  });
});

describe("loadLibrary", () => {
  it("tells why a library can't be loaded", () => {
    expect(() => loadLibrary("/no/such/library.so")).toThrow(
      "loadLibrary: expected a loadable library for 'path', received /no/such/library.so: cannot open shared object file",
    );
    const text = fileURLToPath(import.meta.url);
    expect(() => loadLibrary(text)).toThrow(/received .*runtime\.test\.ts: .*(invalid ELF header|file too short)/);
  });
});

describe("libtorch", () => {
  it("tells its version and how it was built", () => {
    expect(torchVersion()).toMatch(/^\d+\.\d+\.\d+/);
    expect(buildInformation()).toContain("PyTorch built with:");
  });

  it("can be asked for deterministic algorithms", () => {
    setDeterministic(true);
    scope(() => expect(ops.zeros([2]).toArray()).toEqual([0, 0]));
    setDeterministic(false);
  });
});
