import { quoted, UserError } from "@peekaboo/torch/errors";
import { withFile } from "@peekaboo/torch/files";
import { readSafetensors, type TensorEntry } from "@peekaboo/torch/safetensors";
import { kindOf, type PickleDict } from "../pickle/values.js";
import { isPth, type PthFile, readPth } from "../pth/read.js";
import { StoredTensor } from "../pth/tensor.js";

const OPERATION = "load pretrained weights";
/** Where a training script puts the state among other things, in the order looked at. */
const STATE_KEYS = ["state_dict", "net", "model", "model_state_dict"];
/** What DataParallel and DistributedDataParallel put before every name. */
const PARALLEL_PREFIX = "module.";
const BEGINNING = 32;

/**
 * A network's state by name, from a safetensors file or one that torch.save wrote; which, its contents tell.
 *
 * In the latter the state is the saved dictionary itself, or stands in it under state_dict, net, model or
 * model_state_dict. A `module.` before every name is taken off. Nothing is executed.
 *
 * @throws UserError when the file is of neither kind, damaged, or holds no state.
 */
export async function readStateFile(path: string): Promise<Map<string, TensorEntry>> {
  const beginning = withFile(OPERATION, path, (file) => file.read(0, Math.min(BEGINNING, file.size)));
  const state = isPth(beginning) ? stateOf(await readPth(path), path) : readTensors(path, beginning);
  if (state.size === 0) throw fault(path, "tensors by name", "none");
  const names = [...state.keys()];
  if (!names.every((name) => name.startsWith(PARALLEL_PREFIX))) return state;
  return new Map([...state].map(([name, entry]) => [name.slice(PARALLEL_PREFIX.length), entry]));
}

function readTensors(path: string, beginning: Uint8Array): Map<string, TensorEntry> {
  // A safetensors header follows its length of eight bytes.
  if (beginning[8] === "{".charCodeAt(0)) return readSafetensors(path).tensors;
  throw fault(path, "a safetensors file or a .pth file that torch.save wrote", "neither");
}

function stateOf(file: PthFile, path: string): Map<string, TensorEntry> {
  const state = new Map<string, TensorEntry>();
  for (const [name, tensor] of findState(file, path)) {
    if (typeof name !== "string") throw fault(path, "a state with names as keys", kindOf(name));
    if (!(tensor instanceof StoredTensor)) throw fault(path, `a tensor under ${quoted(name)}`, kindOf(tensor));
    state.set(name, file.entryOf(tensor));
  }
  return state;
}

function findState({ value }: PthFile, path: string): PickleDict {
  if (!(value instanceof Map)) throw fault(path, "a dictionary of tensors", kindOf(value));
  for (const key of STATE_KEYS) {
    const inner = value.get(key);
    if (inner instanceof Map) return inner;
  }
  if ([...value.values()].some((item) => item instanceof StoredTensor)) return value;
  const places = `tensors, or a dictionary of them under ${STATE_KEYS.join(", ")}`;
  const keys = [...value.keys()].slice(0, 5).map((key) => (typeof key === "string" ? quoted(key, 24) : kindOf(key)));
  throw fault(path, places, keys.length === 0 ? "an empty dictionary" : `only ${keys.join(", ")}`);
}

function fault(path: string, expected: string, received: string): UserError {
  const argument = quoted(path);
  return new UserError({ operation: OPERATION, argument, expected, received });
}
