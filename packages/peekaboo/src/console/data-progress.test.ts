import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { fetchProgress } from "./data-progress.js";

describe("fetchProgress", () => {
  it("tells each source, each download and each stage after it", () => {
    const stream = new PassThrough();
    const { onProgress, stop } = fetchProgress("cifar10", stream);
    onProgress({ stage: "download", location: "https://example.org/a", bytes: 0, total: 170_000_000 });
    onProgress({ stage: "unreachable", location: "https://example.org/a", reason: "no answer" });
    onProgress({ stage: "download", location: "package b", bytes: 0, total: 1000 });
    onProgress({ stage: "download", location: "package b", bytes: 1000, total: 1000 });
    onProgress({ stage: "verify" });
    stop();
    const lines = String(stream.read()).trimEnd().split("\n");
    expect(lines[0]).toBe("cifar10: downloading 170 MB from https://example.org/a");
    expect(lines).toContain("cifar10: https://example.org/a can't be used: no answer");
    expect(lines.filter((line) => line.includes("downloading"))).toHaveLength(2);
    expect(lines.some((line) => line.startsWith("cifar10: 100"))).toBe(true);
    expect(lines.at(-1)).toBe("cifar10: verifying");
  });
});
