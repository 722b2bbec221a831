import { readSafetensors, withFile } from "@peekaboo/files";
import { quoted, UserError } from "@peekaboo/files/errors";
import type { TensorEntry } from "@peekaboo/files/safetensors";
import { isPth, type PthFile, readPth, StoredTensor } from "@peekaboo/pth";
import {
  Complex,
  Inert,
  kindOf,
  NumpyArray,
  NumpyScalar,
  type PickleDict,
  type PickleValue,
} from "@peekaboo/pth/pickle";
import { isPab } from "@peekaboo/seed";
import { chooseState, type FoundState, type StateCandidate } from "./state-choice.js";

const OPERATION = "load pretrained weights";
/** Where a training script puts the state among other things; the first of them that fits is taken. */
const STATE_KEYS = ["state_dict", "net", "model", "model_state_dict"];
/** How far down dictionaries are looked at. */
const DEPTH = 3;
/** How many dictionaries are looked at: a hostile file's could be without end. */
const MOST_DICTIONARIES = 1000;
const BEGINNING = 32;

/**
 * The state of a network whose names are `wanted`, from a safetensors file or one that torch.save wrote; which, its contents tell.
 *
 * In the latter the state is the saved dictionary itself, or one in it, under state_dict, net, model, model_state_dict or
 * another key: of several the one that fits. What one and the same text, be it `module.`, `_orig_mod.` or another, adds
 * before every name is taken off. Nothing is executed.
 *
 * @throws {UserError} when the file is of neither kind, damaged, holds no state, or several that fit alike.
 */
export async function findState(path: string, wanted: ReadonlySet<string>): Promise<FoundState> {
  return chooseState(path, await statesIn(path), wanted, STATE_KEYS);
}

async function statesIn(path: string): Promise<[StateCandidate, ...StateCandidate[]]> {
  const beginning = withFile(OPERATION, path, (file) => file.read(0, Math.min(BEGINNING, file.size)));
  const states = isPth(beginning) ? statesOf(await readPth(path), path) : [tensorsOf(path, beginning)];
  const [first, ...more] = states;
  if (first === undefined || first.names.length === 0) throw fault(path, "tensors by name", "none");
  return [first, ...more];
}

function tensorsOf(path: string, beginning: Uint8Array): StateCandidate {
  const tensors = readTensors(path, beginning);
  return { place: "", names: [...tensors.keys()], read: () => tensors };
}

function readTensors(path: string, beginning: Uint8Array): Map<string, TensorEntry> {
  // A safetensors header follows its length of eight bytes.
  if (beginning[8] === "{".charCodeAt(0)) return readSafetensors(path).tensors;
  if (isPab(beginning))
    throw fault(path, "a checkpoint or a file of weights", "a .pab file").withRemedy(
      "make a checkpoint of it by `peekaboo import`",
    );
  throw fault(path, "a safetensors file or a .pth file that torch.save wrote", "neither");
}

/** The dictionaries of tensors: those under well-known keys first, then from the outermost in. */
function statesOf(file: PthFile, path: string): StateCandidate[] {
  const found = dictionariesIn(file, path).filter(({ dict }) => holdsTensors(dict));
  const rank = ({ place }: Place) => (STATE_KEYS.includes(place) ? STATE_KEYS.indexOf(place) : STATE_KEYS.length);
  const candidates = found
    .sort((a, b) => rank(a) - rank(b))
    .map(({ place, dict }) => ({ place, names: namesIn(dict, path), read: () => entriesOf(file, dict) }));
  const states = candidates.flatMap(({ place, names, read }) => (Array.isArray(names) ? [{ place, names, read }] : []));
  const [wrong] = candidates.flatMap(({ names }) => (Array.isArray(names) ? [] : [names]));
  if (states.length > 0) return states;
  throw wrong ?? nothingFound(file, path);
}

interface Place {
  /** The key, or keys with dots between; "" for the outermost. */
  place: string;
  dict: PickleDict;
}

function dictionariesIn({ value }: PthFile, path: string): Place[] {
  if (!(value instanceof Map)) throw fault(path, "a dictionary of tensors", kindOf(value));
  const found: Place[] = [{ place: "", dict: value }];
  const seen = new Set<PickleValue>([value]);
  let [from, to] = [0, 1];
  for (let depth = 1; depth < DEPTH; depth++) {
    for (const { place, dict } of found.slice(from, to)) {
      for (const [key, inner] of dict) {
        if (typeof key !== "string" || !(inner instanceof Map) || seen.has(inner)) continue;
        if (seen.size === MOST_DICTIONARIES) return found;
        seen.add(inner);
        found.push({ place: place === "" ? key : `${place}.${key}`, dict: inner });
      }
    }
    [from, to] = [to, found.length];
  }
  return found;
}

/** Whether it could be a state: an optimiser's has numbers as keys. */
function holdsTensors(dict: PickleDict): boolean {
  return [...dict].some(([name, value]) => typeof name === "string" && value instanceof StoredTensor);
}

/** The tensors' names; the error that tells why it is no state, where something else stands among them. */
function namesIn(dict: PickleDict, path: string): string[] | UserError {
  const names: string[] = [];
  for (const [name, value] of dict) {
    if (typeof name !== "string") return fault(path, "a state with names as keys", kindOf(name));
    if (value instanceof StoredTensor) names.push(name);
    else if (!isPlain(value)) return fault(path, `a tensor under ${quoted(name)}`, kindOf(value));
  }
  return names;
}

function entriesOf(file: PthFile, dict: PickleDict): Map<string, TensorEntry> {
  const state = new Map<string, TensorEntry>();
  for (const [name, value] of dict) {
    if (typeof name === "string" && value instanceof StoredTensor) state.set(name, file.entryOf(value));
  }
  return state;
}

/** A number, a text or the like, which a script put beside the tensors. */
function isPlain(value: PickleValue): boolean {
  const inert = [NumpyArray, NumpyScalar, Complex, Inert].some((kind) => value instanceof kind);
  return value === null || typeof value !== "object" || inert;
}

function nothingFound({ value }: PthFile, path: string): UserError {
  const keys = value instanceof Map ? [...value.keys()].slice(0, 5) : [];
  const told = keys.map((key) => (typeof key === "string" ? quoted(key, 24) : kindOf(key)));
  const places = `tensors, or a dictionary of them under ${STATE_KEYS.join(", ")}`;
  return fault(path, places, told.length === 0 ? "an empty dictionary" : `only ${told.join(", ")}`);
}

function fault(path: string, expected: string, received: string): UserError {
  const argument = quoted(path);
  return new UserError({ operation: OPERATION, argument, expected, received });
}
