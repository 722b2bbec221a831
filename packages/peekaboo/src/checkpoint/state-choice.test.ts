import type { TensorEntry } from "@peekaboo/files/safetensors";
import { expect, it } from "vitest";
import { chooseState, type StateCandidate } from "./state-choice.js";

const WANTED = new Set(["a.weight", "b.a.weight", "c"]);
const entry: TensorEntry = { dtype: "F32", shape: [], data: new Uint8Array(4) };
const state = (place: string, ...names: string[]): StateCandidate => ({
  place,
  names,
  read: () => new Map(names.map((name) => [name, entry])),
});
const own = (prefix: string) => [...WANTED].map((name) => prefix + name);
const chosen = (...states: StateCandidate[]) => {
  const { place, prefix, entries } = chooseState("f", states, WANTED, ["state_dict", "net"]);
  return [place, prefix, ...entries.keys()];
};

it("takes one prefix off every name, though the network's own names end alike", () => {
  expect(chosen(state("", ...own("")))).toEqual(["", "", ...WANTED]);
  expect(chosen(state("", ...own("b.")))).toEqual(["", "b.", ...WANTED]);
  expect(chosen(state("", ...own("module."), "module.extra"))).toEqual(["", "module.", ...WANTED, "extra"]);
});

it("of several states takes the one that fits, and of those the well-known place's", () => {
  const incomplete = state("net", "a.weight");
  expect(chosen(incomplete, state("ema", ...own("x.")))).toEqual(["ema", "x.", ...WANTED]);
  expect(chosen(state("ema", ...own("")), state("net", ...own("y.")))).toEqual(["net", "y.", ...WANTED]);
  expect(() => chosen(state("ema", ...own("")), state("g", ...own("y.")))).toThrow(
    'expected one state that fits the network for "f", received 2 (under "ema", under "g" with "y." before its names); save',
  );
});

it("where none fits, gives the nearest", () => {
  expect(chosen(state("net", "x"), state("ema", "m.a.weight", "m.c"))).toEqual(["ema", "m.", "a.weight", "c"]);
  expect(chosen(state("net", "x", "y"))).toEqual(["net", "", "x", "y"]);
  expect(chosen(state("net", "m.a.weight", "b.a.weight", "c"))).toEqual(["net", "", "m.a.weight", "b.a.weight", "c"]);
});

it("refuses names beside those with the prefix", () => {
  expect(() => chosen(state("", ...own("m."), "n.x", "o.x"))).toThrow(
    '"m." before every name for "f", received "n.x" and 1 more',
  );
});
