import { UserError } from "@peekaboo/files/errors";
import { describe, expect, it } from "vitest";
import { Complex, Inert, plainGlobals } from "./plain.js";
import { unpickle } from "./unpickle.js";
import { OrderedDict, type PickleValue } from "./values.js";

function read(pickle: string): PickleValue {
  return unpickle(new Uint8Array(Buffer.from(pickle, "latin1")), { source: "p", globals: plainGlobals }).value;
}

describe("plain data of the standard library", () => {
  it.each([
    ["ccollections\nOrderedDict\n((I1\nI2\nltltR.", null],
    ["ccollections\nOrderedDict\n(((I1\nI2\nlltR.", new OrderedDict([[1, 2]])],
    ["ccollections\ndefaultdict\n(cbuiltins\nlist\ntRI1\nI2\ns.", new Map([[1, 2]])],
    ["ccollections\nCounter\n((I1\nI2\ndtR.", new Map([[1, 2]])],
    ["ccollections\ndeque\n((lI5\ntRI1\naI2\na.", [1, 2]],
    ["cbuiltins\nset\n((I1\nI2\nltR.", new Set([1, 2])],
    ["c__builtin__\nfrozenset\n((I1\nltR.", new Set([1])],
    ["cbuiltins\ncomplex\n(F1.5\nF-2\ntR.", new Complex(1.5, -2)],
    ["cbuiltins\nslice\n(I0\nI3\nNtR.", new Inert("builtins.slice", [0, 3, null])],
    ["cpathlib\nPosixPath\n(V/\nVa\nVb\ntR.", "/a/b"],
    ["cpathlib\nPurePosixPath\n(Va\nVb\ntR.", "a/b"],
    ["cpathlib._local\nPosixPath\n)R.", "."],
    ["cpathlib\nPureWindowsPath\n(VC:\\\nVb\ntR.", "C:\\b"],
    ["cbuiltins\nbytearray\n(Vab\nVlatin-1\ntR.", Buffer.from("ab")],
  ])("%j", (pickle, value) => {
    if (value === null) expect(() => read(pickle)).toThrow(UserError);
    else expect(read(pickle)).toEqual(value);
  });

  it("keeps a namespace's attributes, under every protocol's way of making it", () => {
    for (const made of [
      "cargparse\nNamespace\n)\x81",
      "ccopy_reg\n_reconstructor\n(cargparse\nNamespace\nc__builtin__\nobject\nNtR",
    ]) {
      const value = read(`${made}}Vlr\nF0.5\nsb.`);
      expect(value).toBeInstanceOf(Inert);
      expect((value as Inert).state).toEqual(new Map([["lr", 0.5]]));
    }
  });

  it.each([
    ["ccopy_reg\n_reconstructor\n(cbuiltins\nset\nc__builtin__\nobject\nNtR.", "a class of plain data"],
    ["cbuiltins\nlist\n(]tR.", "a class or function to call"],
    ["cbuiltins\neval\n.", '"builtins.eval"'],
    ["cbuiltins\ngetattr\n.", '"builtins.getattr"'],
    ["ccollections\nnamedtuple\n.", '"collections.namedtuple"'],
    ["cpathlib\nPosixPath\n(I1\ntR.", "a path's parts"],
    ["cbuiltins\nset\n(I1\ntR.", "a set's items"],
    ["cbuiltins\ncomplex\n(V1\ntR.", "two numbers of a complex one"],
  ])("but nothing that could run: %j", (pickle, words) => {
    expect(() => read(pickle)).toThrow(UserError);
    expect(() => read(pickle)).toThrow(words);
  });
});
