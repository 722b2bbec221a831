import { readSafetensorsHeader, withFile } from "@peekaboo/files";
import { printable, quoted, UserError } from "@peekaboo/files/errors";
import type { TensorEntry } from "@peekaboo/files/safetensors";
import { isPth } from "@peekaboo/pth";
import { nn, Tensor } from "@peekaboo/torch";
import { refuseNonfinite } from "../models/first-nonfinite.js";
import type { Network } from "../models/network.js";
import type { RecordedImages } from "../runs/recorded-images.js";
import { toFloat32 } from "./float32.js";
import { CHECKPOINT_FORMAT, recordedImages } from "./format.js";
import { findState } from "./state-file.js";

const OPERATION = "load pretrained weights";
/** Of a file, what tells its kind. */
const BEGINNING = 32;

/** What a file may hold beside a network's own state, and how a note calls it. */
const EXTRAS: readonly { what: string; pattern: RegExp }[] = [
  { what: "num_batches_tracked", pattern: /(^|\.)num_batches_tracked$/ },
  { what: "masks", pattern: /^mask\.|(^|[._])mask$/ },
  { what: "optimiser tensors", pattern: /^(bop|sgd)\./ },
];

/**
 * Replaces the whole state of a network by a file's: a safetensors file, a checkpoint of ours (without its masks and
 * optimisers) or a .pth file, in which it may stand under a key, each name with the same prefix. Floating-point tensors are converted to float32.
 *
 * @param note is told in one sentence what was loaded and what of the file was not.
 * @throws {UserError} when the file can't be read, is for another number of classes, differs in names, shapes or kind of
 * numbers, or holds NaN or infinity; the network is as before then.
 */
export async function loadPretrained(
  network: Network,
  path: string,
  note: (text: string) => void = () => {},
): Promise<void> {
  const { entries, place, prefix } = await findState(path, new Set(network.module.stateDict().keys()));
  const { own, ignored } = separate(network.module, entries);
  refuseOtherClasses(network, own, path);
  nn.refuseDifference(network.module.compareState(own), `${OPERATION} from ${quoted(path)}`);
  const state = new Map<string, Tensor>();
  try {
    for (const [name, entry] of own) state.set(name, floatTensor(name, entry, path));
    refuseNonfinite(state, OPERATION, path);
    network.module.loadStateDict(state);
  } finally {
    for (const tensor of state.values()) tensor.dispose();
  }
  const rest = [...ignored].map(([what, count]) => `${count} ${what}`).join(", ");
  const under = place === "" ? "" : ` of ${quoted(place)}`;
  const before = prefix === "" ? "" : `, without the ${quoted(prefix)} before their names`;
  note(`${printable(path)}: loaded ${own.size} tensors${under}${before}${rest === "" ? "" : `, ignored ${rest}`}.`);
}

/** What images a file's network was trained on; null for a file that isn't one of our checkpoints. */
export function trainedOn(path: string): RecordedImages | null {
  const beginning = withFile(OPERATION, path, (file) => file.read(0, Math.min(BEGINNING, file.size)));
  if (isPth(beginning)) return null;
  const { metadata } = readSafetensorsHeader(path);
  return metadata.format === CHECKPOINT_FORMAT ? recordedImages(path, { metadata }) : null;
}

function separate(module: nn.Module, entries: ReadonlyMap<string, TensorEntry>) {
  const mine = module.stateDict();
  const own = new Map<string, TensorEntry>();
  const ignored = new Map<string, number>();
  for (const [name, entry] of entries) {
    const extra = mine.has(name) ? undefined : EXTRAS.find(({ pattern }) => pattern.test(name));
    if (extra === undefined) own.set(name, entry);
    else ignored.set(extra.what, (ignored.get(extra.what) ?? 0) + 1);
  }
  return { own, ignored };
}

/** A head for other classes is the likeliest difference, and deserves its own words. */
function refuseOtherClasses({ module, options }: Network, own: ReadonlyMap<string, TensorEntry>, path: string): void {
  const { missing, unexpected, misshaped } = module.compareState(own);
  const [first] = misshaped;
  const heads = misshaped.every(
    ({ expected, received }) =>
      expected[0] === options.numClasses && expected.slice(1).join() === received.slice(1).join(),
  );
  if (first === undefined || !heads || missing.length + unexpected.length > 0) return;
  throw new UserError({
    operation: OPERATION,
    argument: `${first.name} of ${quoted(path)}`,
    expected: `an output layer for the data set's ${options.numClasses} classes`,
    received: `one for ${first.received[0]}`,
    remedy: "choose the data set that the weights were trained on, or weights for this one",
  });
}

/** @throws {UserError} for integers: no conversion makes weights of them. */
function floatTensor(name: string, entry: TensorEntry, path: string): Tensor {
  const values = toFloat32(entry);
  if (values !== null) return Tensor.from(values, { shape: entry.shape, share: true });
  throw new UserError({
    operation: OPERATION,
    argument: `${quoted(name)} of ${quoted(path)}`,
    expected: "floating-point numbers",
    received: entry.dtype,
  });
}
