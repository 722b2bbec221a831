import { describe, expect, it } from "vitest";
import { fnv1a64 } from "./hash.js";

function hash(text: string): string {
  const [low, high] = fnv1a64(new TextEncoder().encode(text));
  return high.toString(16).padStart(8, "0") + low.toString(16).padStart(8, "0");
}

describe("fnv1a64", () => {
  it("gives the published hashes (RFC 9923, appendix)", () => {
    expect(hash("")).toBe("cbf29ce484222325");
    expect(hash("a")).toBe("af63dc4c8601ec8c");
    expect(hash("foobar")).toBe("85944171f73967e8");
  });

  it("agrees with the definition in 64-bit integers on every byte value", () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => 255 - i);
    let expected = 0xcbf29ce484222325n;
    for (const byte of bytes) expected = BigInt.asUintN(64, (expected ^ BigInt(byte)) * 0x100000001b3n);
    const [low, high] = fnv1a64(bytes);
    expect((BigInt(high) << 32n) | BigInt(low)).toBe(expected);
  });
});
