import { describe, expect, it } from "vitest";
import { RandomStream } from "./stream.js";
import { utf8Bytes, utf8Text } from "./utf8.js";

const words = new Uint32Array(400);
new RandomStream(1, "utf8.test").fillUint32(words);

describe("UTF-8", () => {
  it("is written as by TextEncoder, surrogates that stand alone included", () => {
    const texts = [
      "",
      "conv1.weight",
      "100 %",
      "ü€😀",
      "\ud800",
      "a\udc00\ud83d\ude00",
      "\u0000\u007f\u0080\u07ff\u0800\uffff",
    ];
    const random = String.fromCharCode(...[...words].map((word) => word & 0xffff));
    for (const text of [...texts, random]) expect([...utf8Bytes(text)]).toEqual([...new TextEncoder().encode(text)]);
  });

  it("is read as by TextDecoder, and nothing else is", () => {
    const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    const read = (bytes: Uint8Array) => {
      try {
        return strict.decode(bytes);
      } catch {
        return null;
      }
    };
    let refused = 0;
    for (const [i, word] of words.entries()) {
      // Lead and continuation bytes more often than chance gives them.
      const bytes = utf8Bytes(`%a${String.fromCodePoint(word % 0xd800)}😀`).map((byte, n) =>
        n === i % 8 ? word : byte,
      );
      expect(utf8Text(bytes)).toBe(read(bytes));
      if (utf8Text(bytes) === null) refused += 1;
    }
    expect(refused).toBeGreaterThan(50);
    expect(refused).toBeLessThan(390);
  });
});
