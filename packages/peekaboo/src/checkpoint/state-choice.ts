import { quoted, UserError } from "@peekaboo/files/errors";
import type { TensorEntry } from "@peekaboo/files/safetensors";

/** Tensors by name, and where in the file they stand. */
export interface StateCandidate {
  /** The dictionary's key; "" for the file itself. */
  readonly place: string;
  readonly names: readonly string[];
  /** @throws {UserError} when the file doesn't hold them. */
  read(): Map<string, TensorEntry>;
}

/** The state that was chosen, its names without what preceded them. */
export interface FoundState {
  readonly place: string;
  /** What was taken off each name, e.g. "module."; "" for nothing. */
  readonly prefix: string;
  readonly entries: Map<string, TensorEntry>;
}

/** A state, seen with a prefix taken off. */
interface Reading {
  state: StateCandidate;
  prefix: string;
  /** How many of the network's names there are then. */
  found: number;
}

/**
 * The state that fits the network of these names once one and the same prefix is taken off all its own; where none fits, the
 * one that comes nearest, so that what it lacks can be told.
 *
 * @param preferred places whose state is taken before others that fit as well, in this order
 * @throws {UserError} for several that fit alike, and for names beside those that begin with the prefix
 */
export function chooseState(
  path: string,
  states: readonly StateCandidate[],
  wanted: ReadonlySet<string>,
  preferred: readonly string[],
): FoundState {
  const [first] = states;
  if (first === undefined) throw new TypeError("chooseState: expected a state");
  const readings = states.flatMap((state) => readingsOf(state, wanted));
  const complete = readings.filter(({ found }) => found === wanted.size);
  // With nothing before its names a state is the network's own, and what else is there will be told.
  const fitting = complete.filter(({ state, prefix }) => outside(state, prefix).length === 0);
  const place = preferred.find((known) => fitting.some(({ state }) => state.place === known));
  const alike = place === undefined ? fitting : fitting.filter(({ state }) => state.place === place);
  const [only] = alike;
  if (alike.length > 1) throw several(path, alike);
  if (only !== undefined) return without(only);
  if (complete.length > 1) throw several(path, complete);
  const [almost] = complete;
  if (almost !== undefined) throw namesOutside(path, almost);
  const none: Reading = { state: first, prefix: "", found: 0 };
  const nearest = readings.reduce((best, reading) => (reading.found > best.found ? reading : best), none);
  return without(outside(nearest.state, nearest.prefix).length === 0 ? nearest : { ...nearest, prefix: "" });
}

/** With each text that precedes one of the wanted names. */
function readingsOf(state: StateCandidate, wanted: ReadonlySet<string>): Reading[] {
  const counts = new Map<string, number>();
  for (const name of state.names) {
    // At each dot the network's own name may begin.
    for (let at = 0; at >= 0; at = nextPart(name, at)) {
      if (!wanted.has(name.slice(at))) continue;
      const prefix = name.slice(0, at);
      counts.set(prefix, (counts.get(prefix) ?? 0) + 1);
    }
  }
  return [...counts].map(([prefix, found]) => ({ state, prefix, found }));
}

function nextPart(name: string, at: number): number {
  const dot = name.indexOf(".", at);
  return dot < 0 ? -1 : dot + 1;
}

function outside({ names }: StateCandidate, prefix: string): string[] {
  return names.filter((name) => !name.startsWith(prefix));
}

function without({ state, prefix }: Pick<Reading, "state" | "prefix">): FoundState {
  const entries = [...state.read()].map(([name, entry]) => [name.slice(prefix.length), entry] as const);
  return { place: state.place, prefix, entries: new Map(entries) };
}

function several(path: string, readings: readonly Reading[]): UserError {
  const told = readings.slice(0, 5).map(({ state: { place }, prefix }) => {
    const under = place === "" ? [] : [`under ${quoted(place)}`];
    const before = prefix === "" ? [] : [`with ${quoted(prefix)} before its names`];
    return [...under, ...before].join(" ") || "the file's own";
  });
  const more = readings.length > 5 ? ` and ${readings.length - 5} more` : "";
  return fault(path, "one state that fits the network", `${readings.length} (${told.join(", ")}${more})`);
}

function namesOutside(path: string, { state, prefix }: Reading): UserError {
  const names = outside(state, prefix);
  const more = names.length > 1 ? ` and ${names.length - 1} more` : "";
  return fault(path, `${quoted(prefix)} before every name`, `${quoted(names[0] ?? "")}${more} without it`);
}

function fault(path: string, expected: string, received: string): UserError {
  return new UserError({
    operation: "load pretrained weights",
    argument: quoted(path),
    expected,
    received,
    remedy: "save the state that you mean alone",
  });
}
