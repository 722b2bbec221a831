import { readFileSync } from "node:fs";
import { UserError } from "@peekaboo/files/errors";
import { describe, expect, it } from "vitest";
import { NumpyArray, NumpyDtype, NumpyScalar, numpyGlobals } from "./numpy.js";
import { Complex, plainGlobals } from "./plain.js";
import { unpickle } from "./unpickle.js";
import type { PickleValue } from "./values.js";

interface Fixture {
  pickles: Record<string, string>;
  refused: Record<string, string>;
}

const fixture = (version: number): Fixture =>
  JSON.parse(readFileSync(new URL(`./fixtures/numpy-${version}.json`, import.meta.url), "utf8"));

function read(pickle: Uint8Array): PickleValue {
  return unpickle(pickle, { source: "p", globals: new Map([...plainGlobals, ...numpyGlobals]) }).value;
}

const latin1 = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));
const fixtures = [1, 2].flatMap((version) =>
  Object.entries(fixture(version).pickles).map(([protocol, base64]) => ({ version, protocol, base64 })),
);

/** What fixtures/make_numpy.py pickled, but for the arrays. */
const SCALARS = {
  float64: 91.25,
  float32: -0.5,
  float16: 1.5,
  halves: [-2, 2 ** -24, Number.POSITIVE_INFINITY, 65504],
  ints: [-1, -300, -(2 ** 31), 2n ** 53n, -(2n ** 62n)],
  uints: [255, 65535, 2 ** 32 - 1, 2n ** 64n - 1n],
  bools: [true, false],
  complex: [new Complex(1, -2), new Complex(0, 0.5)],
  text: "grüße 😀",
};

function arrayOf(value: PickleValue | undefined): NumpyArray {
  if (!(value instanceof NumpyArray)) throw new Error("no array");
  return value;
}

describe("pickles of numpy's scalars and arrays", () => {
  it.each(fixtures)("are read as the plain data they are: numpy $version, protocol $protocol", ({ base64 }) => {
    const value = read(new Uint8Array(Buffer.from(base64, "base64")));
    if (!(value instanceof Map)) throw new Error("no dictionary");
    expect(Object.fromEntries(Object.keys(SCALARS).map((key) => [key, value.get(key)]))).toEqual(SCALARS);
    expect(Buffer.from(value.get("bytes") as Uint8Array)).toEqual(Buffer.from("ab\xff", "latin1"));
    expect(value.get("time")).toBeInstanceOf(NumpyScalar);
    expect(value.get("dtype")).toBeInstanceOf(NumpyDtype);
    const facts = (key: string) => {
      const { dtype, shape, fortran, bigEndian, data } = arrayOf(value.get(key));
      return { dtype, shape, fortran, bigEndian, data: Buffer.from(data) };
    };
    const floats = (...values: number[]) => Buffer.from(Float32Array.from(values).buffer);
    const plain = { fortran: false, bigEndian: false };
    expect(facts("zero")).toEqual({ dtype: "f8", shape: [], ...plain, data: Buffer.from(Float64Array.of(2.5).buffer) });
    expect(facts("row")).toMatchObject({
      dtype: "i8",
      shape: [3],
      data: Buffer.from(BigInt64Array.of(1n, 2n, 3n).buffer),
    });
    expect(facts("matrix")).toEqual({ dtype: "f4", shape: [2, 3], ...plain, data: floats(0, 1, 2, 3, 4, 5) });
    expect(facts("fortran")).toEqual({
      dtype: "f4",
      shape: [2, 3],
      ...plain,
      fortran: true,
      data: floats(0, 3, 1, 4, 2, 5),
    });
    expect(facts("bigs")).toEqual({ dtype: "u2", shape: [2], ...plain, bigEndian: true, data: Buffer.of(0, 1, 1, 2) });
    expect(facts("strings")).toMatchObject({ dtype: "U2", shape: [2] });
    expect(facts("empty")).toMatchObject({ dtype: "f8", shape: [0, 3], data: Buffer.alloc(0) });
  });

  it.each([1, 2])("are refused where they hold objects or structures: numpy %d", (version) => {
    for (const base64 of Object.values(fixture(version).refused)) {
      const reading = () => read(new Uint8Array(Buffer.from(base64, "base64")));
      expect(reading).toThrow(UserError);
      expect(reading).toThrow("a dtype of plain data");
    }
  });

  const dtype = (code: string, order = "<") =>
    `cnumpy\ndtype\n(V${code}\nI0\nI1\ntR(I3\nV${order}\nNNNI-1\nI-1\nI0\ntb`;
  const scalar = (code: string, bytes: string, order?: string) =>
    latin1(`cnumpy.core.multiarray\nscalar\n(${dtype(code, order)}C${String.fromCharCode(bytes.length)}${bytes}tR.`);

  it.each([
    ["i2", "\x01\x02", "<", 513],
    ["i2", "\x01\x02", ">", 258],
    ["u8", "\0\0\0\0\0\0\0\x01", ">", 1],
    ["f8", "\x40\x09\x21\xfb\x54\x44\x2d\x18", ">", Math.PI],
    ["f4", "\x3f\x80\0\0", ">", 1],
    ["f2", "\x3c\0", ">", 1],
    ["b1", "\x01", "|", true],
    ["U1", "\0\0\0A", ">", "A"],
  ] as const)("%s of bytes %j in the order %s is %s", (code, bytes, order, value) => {
    expect(read(scalar(code, bytes, order))).toBe(value);
  });

  it.each([
    ["f8", "\0".repeat(7), "8 bytes of a scalar for p, received 7"],
    ["O8", "\0".repeat(8), 'a dtype of plain data for p, received "O8"'],
    ["V8", "\0".repeat(8), 'received "V8"'],
    ["f3", "\0".repeat(3), 'received "f3"'],
    ["i99999999999", "\0", "a dtype of plain data"],
    ["U1", "\xff\xff\xff\xff", "a Unicode character"],
  ])("a scalar %s of bytes %j is refused", (code, bytes, words) => {
    expect(() => read(scalar(code, bytes))).toThrow(UserError);
    expect(() => read(scalar(code, bytes))).toThrow(words);
  });

  it.each([
    "cnumpy\nload\n.",
    "cnumpy.core.multiarray\nfromfile\n.",
    "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\n(I0\ntC\x01btR.",
    "cnumpy\nndarray\n(I1\ntR.",
    "cnumpy.core.numeric\n_frombuffer\n(C\x04\0\0\0\0cnumpy\ndtype\n(Vf4\nI0\nI1\ntR(I-1\ntVC\ntR.",
    "cnumpy.core.numeric\n_frombuffer\n(C\x04\0\0\0\0cnumpy\ndtype\n(Vf4\nI0\nI1\ntR(I1\ntVA\ntR.",
  ])("and so is anything else: %j", (pickle) => expect(() => read(latin1(pickle))).toThrow(UserError));
});
