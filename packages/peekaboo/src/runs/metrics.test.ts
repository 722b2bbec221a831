import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { join } from "node:path";
import { UserError } from "@peekaboo/files/errors";
import { afterEach, describe, expect, vi } from "vitest";
import { it } from "../../../../tests/support/folder.js";
import type { EvalMetrics, Metrics } from "./metrics.js";
import { MetricsWriter, readMetrics } from "./metrics.js";

let path: string;

it.beforeEach(({ folder }) => {
  path = join(folder, "metrics.jsonl");
});

afterEach(() => {
  vi.restoreAllMocks();
});

const step = (number: number): Extract<Metrics, { kind: "step" }> => ({
  kind: "step",
  epoch: 0,
  step: number,
  loss: 2.25,
  accuracy: 12.5,
  flips: 31,
  imagesPerSecond: 480,
  lr: 0.1,
  ar: 0.001,
});
const evaluation: EvalMetrics = { kind: "eval", epoch: 0, step: 2, loss: 1.5, accuracy: 45.25, best: true };
const oneOfEach: Metrics[] = [
  {
    kind: "prune",
    epoch: 0,
    shot: 0,
    pruner: "SynFlow",
    density: 0.3,
    kept: 3,
    total: 10,
    seconds: 1.5,
    layers: [{ name: "conv1.weight", kept: 3, total: 10 }],
    shuffled: true,
  },
  step(1),
  { ...step(2), kind: "epoch", seconds: 0.5, flips: 30.5 },
  {
    kind: "flips",
    epoch: 0,
    step: 2,
    layers: [
      { name: "conv1.weight", flips: 61, kept: 3 },
      { name: "layer1.0.conv1.weight", flips: 0, kept: 0 },
    ],
  },
  evaluation,
];

function write(metrics: Metrics[], options?: { offset: number }): number {
  using writer = new MetricsWriter(path, options);
  for (const line of metrics) writer.write(line);
  return writer.offset;
}

function errorOf(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

function expectUserError(action: () => unknown, message: RegExp): void {
  const error = errorOf(action);
  expect(error).toBeInstanceOf(UserError);
  expect(String(error)).toMatch(message);
}

describe("MetricsWriter", () => {
  it("writes lines that are read back equal", () => {
    write(oneOfEach);
    expect(readMetrics(path)).toEqual(oneOfEach);
  });

  it("writes each line with one write, at once", () => {
    const spy = vi.spyOn(fs, "writeSync");
    using writer = new MetricsWriter(path);
    writer.write(evaluation);
    expect(spy).toHaveBeenCalledTimes(1);
    const text = '{"kind":"eval","epoch":0,"step":2,"loss":1.5,"accuracy":45.25,"best":true}\n';
    expect(fs.readFileSync(path, "utf8")).toBe(text);
    expect(writer.offset).toBe(text.length);
  });

  it("starts the file anew by default", () => {
    write([step(1), step(2)]);
    write([step(9)]);
    expect(readMetrics(path)).toEqual([step(9)]);
  });

  it("cuts the lines beyond the offset it is opened at, a torn one included", () => {
    const offset = write([step(1), step(2)]);
    fs.appendFileSync(path, `${JSON.stringify(step(3))}\n{"kind":"st`);
    write([step(3), step(4)], { offset });
    expect(readMetrics(path)).toEqual([step(1), step(2), step(3), step(4)]);
  });

  it.each([
    ["inside a line", -1],
    ["beyond the end", 1],
  ])("refuses an offset %s and leaves the file as it was", (_, shift) => {
    const offset = write([step(1)]) + shift;
    const before = fs.readFileSync(path);
    expectUserError(() => new MetricsWriter(path, { offset }), /resume metrics: expected a line that ends at byte/);
    expect(fs.readFileSync(path)).toEqual(before);
  });

  it("leaves no part of a line on a full disk, and says so", () => {
    using writer = new MetricsWriter(path);
    writer.write(step(1));
    const real = fs.writeSync.bind(fs);
    const full = Object.assign(new Error("no space"), { code: "ENOSPC" });
    vi.spyOn(fs, "writeSync")
      .mockImplementationOnce((descriptor, line) => real(descriptor, Buffer.from(line.slice(0, 7))))
      .mockImplementationOnce(() => {
        throw full;
      });
    expectUserError(
      () => writer.write(step(2)),
      /write metrics: expected free space on the disk for .*metrics\.jsonl", received a full disk \(ENOSPC\)/,
    );
    expect(readMetrics(path)).toEqual([step(1)]);
    writer.write(step(2));
    expect(readMetrics(path)).toEqual([step(1), step(2)]);
  });

  it("finishes a line that the system wrote only a part of", () => {
    using writer = new MetricsWriter(path);
    const real = fs.writeSync.bind(fs);
    vi.spyOn(fs, "writeSync").mockImplementationOnce((descriptor, line) =>
      real(descriptor, Buffer.from(line.slice(0, 7))),
    );
    writer.write(step(1));
    expect(readMetrics(path)).toEqual([step(1)]);
  });

  it("refuses a number that JSON can't hold, before writing", () => {
    using writer = new MetricsWriter(path);
    expect(() => writer.write({ ...step(1), loss: Number.NaN })).toThrow(new RangeError("metrics: loss is NaN"));
    expect(writer.offset).toBe(0);
    expect(fs.statSync(path).size).toBe(0);
  });

  it("refuses to write after closing, when its descriptor may be another file's", () => {
    const writer = new MetricsWriter(path);
    writer.close();
    writer.close();
    expect(() => writer.write(step(1))).toThrow("closed");
  });

  it("tells why a file can't be opened", ({ folder }) => {
    expectUserError(() => new MetricsWriter(folder), /received a folder/);
    expectUserError(() => new MetricsWriter(join(folder, "none", "metrics.jsonl")), /received none/);
    fs.writeFileSync(path, "");
    expectUserError(() => new MetricsWriter(join(path, "metrics.jsonl")), /a file in a folder's place/);
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    expectUserError(() => new MetricsWriter(pipe), /received a device, pipe or socket/);
  });
});

describe("readMetrics", () => {
  it("passes over a torn last line", () => {
    fs.writeFileSync(path, `${JSON.stringify(step(1))}\n${JSON.stringify(step(2)).slice(0, -5)}`);
    expect(readMetrics(path)).toEqual([step(1)]);
  });

  it("takes a last line that lacks only its newline", () => {
    fs.writeFileSync(path, JSON.stringify(step(1)));
    expect(readMetrics(path)).toEqual([step(1)]);
  });

  it("reads an empty file as no metrics, and says that a missing one is missing", ({ folder }) => {
    fs.writeFileSync(path, "");
    expect(readMetrics(path)).toEqual([]);
    expectUserError(
      () => readMetrics(join(folder, "none.jsonl")),
      /read metrics: expected an existing file .* received none/,
    );
  });

  it("reads the lines of earlier versions, whose epochs told each layer's flips themselves", () => {
    const epoch: Metrics = { ...step(4), kind: "epoch", seconds: 0.5, flips: 30.5 };
    fs.writeFileSync(path, `${JSON.stringify({ ...epoch, layers: [{ name: "conv1.weight", flips: 61 }] })}\n`);
    expect(readMetrics(path)).toEqual([epoch]);
  });

  it("drops fields that it does not know, also a hostile __proto__", () => {
    const text = JSON.stringify(evaluation).replace("{", '{"__proto__":{"polluted":1},"later":[1],');
    fs.writeFileSync(path, `${text}\n`);
    const [line] = readMetrics(path);
    expect(line).toEqual(evaluation);
    expect(line).not.toHaveProperty("polluted");
  });

  it.each([
    ["text", "not JSON at all", /text that is not JSON/],
    ["an empty line", "", /text that is not JSON/],
    ["bytes that are not UTF-8", Buffer.from([0x22, 0xff, 0x22]), /text that is not JSON/],
    ["an array", "[]", /expected object, received array/],
    ["another kind", '{"kind":"stop"}', /"kind": Invalid discriminator/],
    ["an infinite loss", JSON.stringify(step(2)).replace("2.25", "1e999"), /"loss": .*received Infinity/],
    ["a fraction of a flip", JSON.stringify(step(2)).replace('"flips":31', '"flips":0.5'), /"flips": .*expected int/],
    ["a layer's flips below 0", JSON.stringify(oneOfEach[3]).replace('"flips":61', '"flips":-1'), /"layers.0.flips": /],
    ["layers without names", JSON.stringify(oneOfEach[3]).replace('"name":"conv1.weight",', ""), /"layers.0.name": /],
    ["an accuracy above 100", JSON.stringify({ ...evaluation, accuracy: 101 }), /"accuracy": Too big/],
    [
      "more kept than there is",
      JSON.stringify(oneOfEach[0]).replaceAll('"kept":3', '"kept":11'),
      /layers\.0": kept is more/,
    ],
    ["deep nesting", "[".repeat(500_000), /JSON nested more than 64 deep/],
  ])("names the line that holds %s", (_, bad, message) => {
    fs.writeFileSync(path, `${JSON.stringify(step(1))}\n`);
    fs.appendFileSync(path, bad);
    fs.appendFileSync(path, `\n${JSON.stringify(step(3))}\n`);
    expectUserError(() => readMetrics(path), message);
    expectUserError(() => readMetrics(path), /line 2 of .*metrics\.jsonl/);
  });

  it("stops at a line without an end instead of holding it all", () => {
    fs.writeFileSync(path, Buffer.alloc(3 * 1024 * 1024, "x"));
    expectUserError(() => readMetrics(path), /line 1 of .*more than a mebibyte/);
  });

  it("joins lines that lie across its read buffer", () => {
    const lines = Array.from({ length: 3000 }, (_, index) => step(index + 1));
    write(lines);
    expect(fs.statSync(path).size).toBeGreaterThan(300_000);
    expect(readMetrics(path)).toEqual(lines);
  });
});
