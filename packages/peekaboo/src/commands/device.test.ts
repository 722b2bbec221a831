import { describe, expect, it } from "vitest";
import { chooseThreads, threadsInWords } from "./device.js";

describe("chooseThreads", () => {
  it("takes what the settings say, in the words that config.json has always had", () => {
    const threads = chooseThreads({ threads: 1 }, {});
    expect(threads).toEqual({ count: 1, why: "--threads" });
    expect(threadsInWords(threads)).toBe("1 thread: --threads.");
  });
});
