import { readFileSync } from "node:fs";
import { UserError } from "@peekaboo/files/errors";
import { describe, expect, it } from "vitest";
import { unpickle } from "./unpickle.js";
import { isTuple, OrderedDict, PickleFault, PickleGlobal, PickleObject, type PickleValue } from "./values.js";

const fixtures: Record<string, string> = JSON.parse(
  readFileSync(new URL("./fixtures/protocols.json", import.meta.url), "utf8"),
);

class Point extends PickleObject {
  state: PickleValue = null;
  override setState(state: PickleValue): void {
    this.state = state;
  }
}

const globals = new Map(
  [
    new PickleGlobal("collections.OrderedDict", () => new OrderedDict()),
    new PickleGlobal("_codecs.encode", ([text]) => Buffer.from(String(text), "latin1")),
    new PickleGlobal("geometry.Point", () => new Point()),
    new PickleGlobal("geometry.UNIT"),
  ].map((known) => [known.name, known]),
);

/** The value of a pickle written as text, each character a byte. */
function read(pickle: string, options: { python2Strings?: "text" | "bytes" } = {}): PickleValue {
  return unpickle(Buffer.from(pickle, "latin1"), { source: "p", globals, ...options }).value;
}

describe("unpickle", () => {
  it.each([0, 1, 2, 3, 4, 5])("reads what Python wrote under protocol %d", (protocol) => {
    const bytes = Buffer.from(fixtures[protocol] ?? "", "base64");
    const { value, end } = unpickle(bytes, { source: "p", globals });
    expect(end).toBe(bytes.length);
    if (!(value instanceof Map)) throw new Error("no dictionary");
    expect([...value.keys()]).toEqual([
      ...["ints", "floats", "text", "bytes", "bools", "nested", "shared"],
      ...[1, "key", "ordered"],
    ]);
    const ints = [0, 1, -1, 255, 256, 65535, 65536, -(2 ** 31), 2 ** 31, 2 ** 53 - 1, -(2n ** 63n), 2n ** 100n];
    expect(value.get("ints")).toEqual(ints);
    expect(value.get("floats")).toEqual([0.5, -1e300, Number.POSITIVE_INFINITY]);
    expect(value.get("text")).toBe("grüße\n\\ 😀");
    expect(Buffer.from(value.get("bytes") as Uint8Array)).toEqual(Buffer.of(0, 255));
    expect(value.get("bools")).toEqual([true, false, null]);
    expect(isTuple(value.get("bools"))).toBe(true);
    expect(value.get("nested")).toEqual([[], [1], [1, 2], [1, 2, 3], [1, 2, 3, 4], [[]], new Map()]);
    const [first, second] = value.get("shared") as PickleValue[];
    expect(first).toEqual([1, 2]);
    expect(isTuple(first)).toBe(false);
    expect(second).toBe(first);
    expect(value.get(1)).toBe(2);
    expect(value.get("key")).toBe("value");
    expect(value.get("ordered")).toBeInstanceOf(OrderedDict);
    expect(value.get("ordered")).toEqual(new OrderedDict([["a", 1], ["b", 2]])); // biome-ignore format: pairs
  });

  it("reads sets and byte arrays", () => {
    const { value } = unpickle(Buffer.from(fixtures.sets ?? "", "base64"), { source: "p", globals });
    const [set, frozen, bytes] = value as PickleValue[];
    expect([set, frozen]).toEqual([new Set([1]), new Set([2])]);
    expect(Buffer.from(bytes as Uint8Array).toString()).toBe("ab");
  });

  it("reads Python 2's strings as text, or as views of the bytes", () => {
    expect(read("U\x02\xe9a.")).toBe("éa");
    expect(read("T\x02\0\0\0\xe9a.")).toBe("éa");
    expect(read("S'a\\x41\\n\\'\\101'\n.")).toBe("aA\n'A");
    const bytes = Buffer.from("U\x02\xe9a.", "latin1");
    const { value } = unpickle(bytes, { source: "p", globals, python2Strings: "bytes" });
    expect(value).toEqual(bytes.subarray(2, 4));
    expect((value as Uint8Array).buffer).toBe(bytes.buffer);
  });

  it("gives an object the state that follows it", () => {
    expect(read("cgeometry\nPoint\n)R}U\x01xK\x03sb.")).toMatchObject({ state: new Map([["x", 3]]) });
    expect(read("(igeometry\nPoint\nK\x05b.")).toMatchObject({ state: 5 });
    expect(read("(cgeometry\nPoint\no.")).toBeInstanceOf(Point);
    expect(read("cgeometry\nPoint\n)}\x92.")).toBeInstanceOf(Point);
  });

  it("drops attributes of an ordered dictionary", () => {
    expect(read("ccollections\nOrderedDict\n)R}U\x09_metadataK\x01sb.")).toEqual(new OrderedDict());
  });

  it("resolves persistent ids through the caller alone", () => {
    const persistentLoad = (id: PickleValue) => `<${id}>`;
    const options = { source: "p", globals, persistentLoad };
    expect(unpickle(Buffer.from("K\x07Q."), options).value).toBe("<7>");
    expect(unpickle(Buffer.from("Pabc\n."), options).value).toBe("<abc>");
    expect(() => read("K\x07Q.")).toThrow("received a reference to data outside (a persistent id)");
  });

  it("reads one pickle after another", () => {
    const bytes = Buffer.from("K\x01.K\x02.");
    const first = unpickle(bytes, { source: "p", globals });
    expect(first).toEqual({ value: 1, end: 3 });
    expect(unpickle(bytes, { source: "p", globals, start: first.end })).toEqual({ value: 2, end: 6 });
  });

  it("makes lists that contain themselves without hanging", () => {
    const list = read("]q\0h\0a.") as PickleValue[];
    expect(list[0]).toBe(list);
  });
});

describe("a pickle is refused", () => {
  it.each([
    ["cos\nsystem\n(S'echo'\ntR.", 'plain data alone for p, received the class or function "os.system"'],
    ["(S'x'\nios\nsystem\n.", 'the class or function "os.system"'],
    ["\x8c\x02os\x8c\x06system\x93.", 'the class or function "os.system"'],
    ["c__builtin__\neval\n.", '"__builtin__.eval"'],
    ["cgeometry\nUNIT\n)R.", "a class or function to call for p, received geometry.UNIT"],
    ["K\x01)R.", "received the number 1"],
    ["cgeometry\nPoint\n]R.", "a tuple of arguments for p, received a list of 0"],
    ["]}b.", "an object to give a state to for p, received a list of 0"],
    ["\x82\x01.", "received an extension code"],
    ["\x97.", "received a buffer out of band"],
    ["\x80\x06N.", "a protocol of at most 5 for p, received 6"],
    ["\x95\xff\0\0\0\0\0\0\0N.", "a frame within the 2 bytes left"],
    ["X\xff\xff\xff\x7fab.", "a text of at most"],
    ["\x8e\xff\xff\xff\xff\xff\xff\xff\xff.", "received 1"],
    ["\x8b\0\0\x01\0.", "an integer of at most 1024 bytes"],
    ["X\x02\0\0\0\xff\xfe.", "text in UTF-8"],
    ["N", "1 more bytes for p, received 0"],
    [".", "a value on the stack for p, received none"],
    ["(N.", "no mark left at the end"],
    ["t.", "a mark on the stack"],
    ["h\x05.", "a memo entry that was made for p, received number 5"],
    ["g-1\n.", "a memo number"],
    ["I1e5\n.", "a decimal integer"],
    ["Fone\n.", "a decimal number"],
    ["Sabc\n.", "a text in quotes"],
    ["V\\U7fffffff\n.", "a Unicode character"],
    ["}K\x01u.", "a mark"],
    ["}(K\x01u.", "pairs of key and value for p, received half a pair"],
    ["]K\x01K\x01s.", "a dict to put items into"],
    [")K\x01a.", "a list to append to for p, received a tuple of 0"],
    ["}K\x01a.", "a list to append to for p, received a dict of 0"],
    ["\xff.", "a pickle's operation for p, received the byte 0xff at 0"],
  ])("%j: %s", (pickle, words) => {
    expect(() => read(pickle)).toThrow(UserError);
    expect(() => read(pickle)).toThrow(words);
  });

  it("when it makes more objects or operations than any honest one", () => {
    expect(() => read(`${"]".repeat(600_000)}.`)).toThrow("at most 500000 objects");
    expect(() => read(`${"N0".repeat(2_500_000)}N.`)).toThrow("at most 4000000 operations");
    expect(() => read(`${"(".repeat(600_000)}.`)).toThrow("at most 500000 objects");
  });

  it("when it calls with the same large argument again and again", () => {
    const text = `X\x80\x96\x98\0${"a".repeat(10_000_000)}q\0`;
    const call = "0c_codecs\nencode\nh\0\x85R";
    expect(() => read(`${text}${call.repeat(100)}.`)).toThrow("arguments in proportion to the pickle");
  });

  it("with what a caller's function refuses", () => {
    const fussy = new PickleGlobal("a.b", () => {
      throw new PickleFault("better", "worse");
    });
    const options = {
      source: "p",
      operation: "try",
      globals: new Map([["a.b", fussy]]),
      remedies: { damaged: "mend it", foreign: "" },
    };
    expect(() => unpickle(Buffer.from("ca\nb\n)R."), options)).toThrow(
      "try: expected better for p, received worse; mend it.",
    );
  });
});
