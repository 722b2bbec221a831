import { describe, expect, it } from "vitest";
import { formatBytes, formatCount, formatDuration, formatPercent, formatShortCount } from "./format.js";

describe("formatBytes", () => {
  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1000, "1.0 kB"],
    [3449, "3.4 kB"],
    [99_949, "99.9 kB"],
    [99_960, "100 kB"],
    [999_499, "999 kB"],
    [999_500, "1.0 MB"],
    [44_700_000, "44.7 MB"],
    [5e15, "5000 TB"],
  ])("writes %d as %s", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});

describe("formatDuration", () => {
  it.each([
    [0, "0 ms"],
    [0.3504, "350 ms"],
    [0.9996, "1.0 s"],
    [8.24, "8.2 s"],
    [9.96, "10 s"],
    [59.4, "59 s"],
    [59.6, "1m 00s"],
    [638, "10m 38s"],
    [3599.6, "1h 00m"],
    [8040, "2h 14m"],
    [86_399, "23h 59m"],
    [86_400, "1d 00h"],
    [273_600, "3d 04h"],
    [Number.POSITIVE_INFINITY, "?"],
    [Number.NaN, "?"],
    [-1, "?"],
  ])("writes %d s as %s", (seconds, text) => {
    expect(formatDuration(seconds)).toBe(text);
  });
});

describe("formatCount", () => {
  it.each([
    [0, "0"],
    [999, "999"],
    [1000, "1,000"],
    [11_164_352, "11,164,352"],
    [-1234, "-1,234"],
    [30.6, "31"],
    [Number.NaN, "?"],
  ])("writes %d as %s", (count, text) => {
    expect(formatCount(count)).toBe(text);
  });
});

describe("formatShortCount", () => {
  it.each([
    [0, "0"],
    [250, "250"],
    [2500, "2.5k"],
    [70_000, "70k"],
    [999_950, "1M"],
    [1_000_000, "1M"],
  ])("writes %d as %s", (count, text) => {
    expect(formatShortCount(count)).toBe(text);
  });
});

describe("formatPercent", () => {
  it.each([
    [0, "0"],
    [0.00001, "<0.01"],
    [0.00006, "0.01"],
    [0.0052, "0.52"],
    [0.00996, "1.0"],
    [0.05, "5.0"],
    [0.31623, "31.6"],
    [0.9994, "99.9"],
    [0.9996, "100"],
    [1, "100"],
  ])("writes %d as %s", (fraction, text) => {
    expect(formatPercent(fraction)).toBe(text);
  });
});
