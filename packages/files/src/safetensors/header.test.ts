import { describe, expect, it } from "vitest";
import { UserError } from "../errors.js";
import { parseSafetensors } from "./format.js";
import { parseHeader } from "./header.js";

/** A file of the given header text and data bytes, its length field true unless given. */
function file(header: string | Uint8Array, data: number[] = [], length?: bigint): Uint8Array {
  const json = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + json.byteLength + data.length);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(json.byteLength), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.byteLength);
  return bytes;
}

const tensor = (dtype: string, shape: string, offsets: string) =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`;

/** A file of one tensor "w" with these header fields and `count` zero bytes of data. */
const one = (dtype: string, shape: string, offsets: string, count: number) =>
  file(`{"w":${tensor(dtype, shape, offsets)}}`, Array(count).fill(0));

function complaint(bytes: Uint8Array): string {
  try {
    parseSafetensors(bytes, "run/w.safetensors");
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    return error instanceof Error ? error.message : "";
  }
  throw new Error("the file was accepted");
}

describe("parseSafetensors accepts", () => {
  it("white space between and after the elements, any order of fields, and escapes", () => {
    const header = ' \t\r\n"\\u0077\\n" : { "data_offsets" : [ 0 , 2 ] , "shape":[2,1] ,"dtype": "U8" } \n';
    const { tensors } = parseSafetensors(file(`{${header}}  \n`, [5, 6]), "f");
    expect([...tensors]).toEqual([["w\n", { dtype: "U8", shape: [2, 1], data: new Uint8Array([5, 6]) }]]);
  });

  it("tensors in any order, and empty ones at any border", () => {
    const header = `{"c":${tensor("U8", "[0]", "[3,3]")},"b":${tensor("U8", "[2]", "[1,3]")},"a":${tensor("U8", "[1]", "[0,1]")},"d":${tensor("F32", "[4,0]", "[1,1]")}}`;
    const { tensors } = parseSafetensors(file(header, [1, 2, 3]), "f");
    expect([...tensors.keys()]).toEqual(["c", "b", "a", "d"]);
    expect([...tensors.values()].map(({ data }) => [...data])).toEqual([[], [2, 3], [1], []]);
  });

  it("the names __proto__, constructor and toString as ordinary ones", () => {
    const names = ["__proto__", "constructor", "toString"];
    const header = names.map((name) => `"${name}":${tensor("U8", "[0]", "[0,0]")}`).join();
    expect([...parseSafetensors(file(`{${header}}`), "f").tensors.keys()]).toEqual(names);
  });
});

describe("parseSafetensors refuses", () => {
  it("with one sentence that names the file, the tensor, what was expected and what came", () => {
    expect(complaint(one("F32", "[2]", "[0,4]", 4))).toBe(
      'read safetensors: expected 8 data bytes, as F32 [2] takes for tensor "w" of "run/w.safetensors", received 4; ' +
        "the file is damaged or not in this format: write or download it again.",
    );
  });

  it.each<[string, Uint8Array, string]>([
    ["an empty file", new Uint8Array(0), "at least 8 bytes"],
    ["7 bytes", new Uint8Array(7), "received 7 bytes"],
    ["a header of no bytes", file(""), "received an empty one"],
    ["a header beyond the file", file("{}", [], 3n), "a header within the 2 bytes left"],
    ["a header over 100 MB", file("{}", [], 100_000_001n), "a header of at most 100000000 bytes"],
    ["a length of 2^53 + 1, which no double holds", file("{}", [], 2n ** 53n + 1n), "received one of 9007199254740993"],
    ["a length of 2^64 - 1", file("{}", [], 2n ** 64n - 1n), "received one of 18446744073709551615"],
  ])("%s", (_, bytes, message) => expect(complaint(bytes)).toContain(message));

  it.each<[string, string | Uint8Array, string]>([
    ["white space before the header", " {}", "received the byte 0x20"],
    ["a byte-order mark", "\ufeff{}", "received the byte 0xef"],
    ["an array", "[]", "received the byte 0x5b"],
    ["bytes that aren't UTF-8", new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d]), "a header in UTF-8"],
    ["an unfinished object", "{", "expected a string"],
    ["an unfinished name", '{"w', 'received "\\"w"'],
    ["an unfinished escape", '{"w\\', "expected a string"],
    ["a wrong escape", '{"\\x":{}}', "expected a string"],
    ["a raw line break in a name", '{"a\nb":{}}', "expected a string"],
    ["a comma at the end", `{"w":${tensor("U8", "[0]", "[0,0]")},}`, 'received "}"'],
    ["a missing colon", '{"w"{}}', 'expected ":"'],
    ["text after the object", "{}x", "expected nothing more"],
    ["a null byte as padding", "{}\0", "expected nothing more"],
    ["a tensor that is null", '{"w":null}', 'expected "{" for tensor "w"'],
    ["a tensor without a shape", '{"w":{"dtype":"U8","data_offsets":[0,0]}}', "received fewer"],
    ["an unknown field", '{"w":{"dtype":"U8","strides":[1]}}', 'received "strides"'],
    ["a field twice", '{"w":{"dtype":"U8","dtype":"U8"}}', 'each key once for tensor "w"'],
    ["a name twice", `{"w":${tensor("U8", "[0]", "[0,0]")},"\\u0077":${tensor("U8", "[0]", "[0,0]")}}`, '"w" twice'],
    ["metadata that is no object", '{"__metadata__":"pt"}', "for the metadata of"],
    ["metadata that isn't text", '{"__metadata__":{"epoch":3}}', "expected a string for the metadata"],
    ["nested metadata", '{"__metadata__":{"a":{}}}', "expected a string for the metadata"],
    ["a metadata key twice", '{"__metadata__":{"a":"","a":""}}', '"a" twice'],
    ["a shape that is text", `{"w":${tensor("U8", '"3"', "[0,0]")}}`, 'expected "["'],
    ["nested sizes", `{"w":${tensor("U8", "[[1]]", "[0,1]")}}`, "expected a non-negative integer"],
    ["65 dimensions", `{"w":${tensor("U8", `[${Array(65).fill(1)}]`, "[0,1]")}}`, "at most 64 integers"],
  ])("%s", (_, header, message) => expect(complaint(file(header))).toContain(message));

  it.each<[string, Uint8Array, string]>([
    ["an unknown dtype", one("F8_E4M3", "[1]", "[0,1]", 1), 'F16, BF16, I16, I8, U8, BOOL for tensor "w"'],
    ["a dtype that objects inherit", one("constructor", "[1]", "[0,1]", 1), 'received "constructor"'],
    ["a negative size", one("U8", "[-1]", "[0,1]", 1), "received -1"],
    ["a fractional size", one("U8", "[1.5]", "[0,1]", 1), "received 1.5"],
    ["a size written 1.0", one("U8", "[1.0]", "[0,1]", 1), "received 1.0"],
    ["a size written 1e0", one("U8", "[1e0]", "[0,1]", 1), "received 1e0"],
    ["a size written 01", one("U8", "[01]", "[0,1]", 1), "received 01"],
    ["a size of 2^53", one("U8", "[9007199254740992]", "[0,1]", 1), "received 9007199254740992"],
    ["a product that wraps to 0 in 64 bits", one("U8", "[4294967296,4294967296]", "[0,0]", 0), "below 2^53 bytes"],
    ["sizes that overflow beside a 0", one("F32", "[4503599627370496,2,0]", "[0,0]", 0), "below 2^53 bytes"],
    ["sizes that overflow after a 0", one("U8", "[0,4503599627370496,2]", "[0,0]", 0), "below 2^53 bytes"],
    ["one offset", one("U8", "[1]", "[0]", 1), "two data_offsets"],
    ["three offsets", one("U8", "[1]", "[0,1,2]", 1), "at most 2 integers"],
    ["fractional offsets", one("U8", "[1]", "[0,1.5]", 2), "received 1.5"],
    ["negative offsets", one("U8", "[1]", "[-1,0]", 1), "received -1"],
    ["falling offsets", one("U8", "[1]", "[1,0]", 1), "received [1, 0]"],
    ["data beyond the file", one("U8", "[4]", "[0,4]", 3), "data within the file's 3 data bytes"],
    ["more data than the shape takes", one("F32", "[1]", "[0,8]", 8), "4 data bytes, as F32 [1] takes"],
    ["bytes after the last tensor", one("U8", "[2]", "[0,2]", 3), "2 data bytes, as the header says"],
    ["bytes without any tensor", file("{}", [0]), "0 data bytes, as the header says"],
    ["a hole before the first tensor", one("U8", "[1]", "[1,2]", 2), "received a hole: a beginning at byte 1"],
    ["a BOOL byte of 2", file(`{"m":${tensor("BOOL", "[3]", "[0,3]")}}`, [0, 1, 2]), '0 or 1 for tensor "m"'],
  ])("%s", (_, bytes, message) => expect(complaint(bytes)).toContain(message));

  it.each<[string, string, string, string]>([
    ["tensors that share bytes", "[0,2]", "[1,3]", '"b" of "run/w.safetensors", received an overlap'],
    ["tensors at the same place", "[0,2]", "[0,2]", '"b" of "run/w.safetensors", received an overlap'],
    ["a hole between tensors", "[0,2]", "[3,5]", '"b" of "run/w.safetensors", received a hole'],
  ])("%s", (_, a, b, message) => {
    const header = `{"a":${tensor("U8", "[2]", a)},"b":${tensor("U8", "[2]", b)}}`;
    expect(complaint(file(header, [0, 0, 0, 0, 0]))).toContain(message);
  });

  it("an empty tensor inside another one", () => {
    const header = `{"a":${tensor("U8", "[2]", "[0,2]")},"b":${tensor("U8", "[0]", "[1,1]")}}`;
    expect(complaint(file(header, [0, 0]))).toContain('tensor "b"');
  });

  it("a million nested lists without following them", () => {
    expect(complaint(file(`{"w":${"[".repeat(1_000_000)}`))).toContain('expected "{" for tensor "w"');
    expect(complaint(file(`{"w":${'{"dtype":'.repeat(1_000_000)}`))).toContain("expected a string");
  });

  it("an endless list, an endless number and more than a million names", () => {
    const endless = `{"w":{"shape":[${"0,".repeat(1_000_000)}`;
    expect(complaint(file(endless))).toContain("at most 64 integers");
    expect(complaint(file(`{"w":{"shape":[${"9".repeat(1_000_000)}`))).toContain("below 2^53");
    const names = Array.from({ length: 1_000_001 }, (_, index) => `"${index}":""`);
    expect(complaint(file(`{"__metadata__":{${names}}}`))).toContain("at most 1000000 names");
  });

  it("a long hostile name without repeating it whole or raw", () => {
    const message = complaint(file(`{"${"\\u001b[2J".repeat(10_000)}":1}`));
    expect(message.length).toBeLessThan(600);
    expect(message).toContain("\\u001b[2J");
    expect(message).not.toContain("\u001b");
  });
});

it("parseHeader tells where each tensor lies", () => {
  const json = new TextEncoder().encode(`{"w":${tensor("F32", "[2,1]", "[0,8]")},"__metadata__":{"a":"b"}}`);
  const header = parseHeader(json, 8 + json.byteLength + 8, "f");
  expect([...header.tensors]).toEqual([["w", { dtype: "F32", shape: [2, 1], begin: 0, end: 8 }]]);
  expect({ ...header.metadata }).toEqual({ a: "b" });
  expect(header.dataOffset).toBe(8 + json.byteLength);
  expect(header.byteLength).toBe(16 + json.byteLength);
});
