import { quoted } from "@peekaboo/files/errors";
import { itemSize } from "@peekaboo/files/safetensors";
import { storageOf, torchGlobals } from "./globals.js";
import { ByteCursor } from "./pickle/cursor.js";
import { unpickle } from "./pickle/unpickle.js";
import { isSequence, kindOf, PickleFault, type PickleValue } from "./pickle/values.js";
import type { Storage } from "./tensor.js";

/** Opens a file of before the zip format (torch.serialization.MAGIC_NUMBER), as a pickled integer. */
const MAGIC = 0x1950a86a20f9469cfc6cn;
const MAGIC_BYTES = Buffer.from("6cfc9c46f9206aa85019", "hex");
const PROTOCOL = 1001;

interface Told {
  readonly operation: string;
  readonly source: string;
  readonly remedies: { readonly damaged: string; readonly foreign: string };
}

/** Whether a file begins with the magic number in a pickle of protocol 2 or later. */
export function isLegacy(beginning: Uint8Array): boolean {
  return beginning[0] === 0x80 && Buffer.from(beginning.subarray(0, 32)).includes(MAGIC_BYTES);
}

/**
 * Reads a file of torch.save(…, _use_new_zipfile_serialization=False): pickles of the magic number, the protocol, facts of
 * the system, the object and the storages' keys; then each storage: its number of elements (int64) and their bytes.
 *
 * @throws {UserError} or PickleFault when it is damaged.
 */
export function readLegacy(bytes: Uint8Array, told: Told) {
  let start = 0;
  const next = (isObject: boolean): PickleValue => {
    const plain = { ...told, start, globals: isObject ? torchGlobals : new Map() };
    const { value, end } = unpickle(bytes, isObject ? { ...plain, persistentLoad: remember } : plain);
    start = end;
    return value;
  };
  const storages = new Map<string, Storage>();
  const remember = (id: PickleValue): Storage => {
    const storage = storageOf(id);
    const known = storages.get(storage.key) ?? storage;
    if (known.dtype !== storage.dtype) throw new PickleFault(`one dtype of storage ${quoted(storage.key)}`, "two");
    storages.set(storage.key, known);
    return storage;
  };
  checkPreamble([next(false), next(false), next(false)]);
  const value = next(true);
  const keys = next(false);
  if (!isSequence(keys)) throw new PickleFault("a list of the storages' keys", kindOf(keys));
  const raw = readStorages(new ByteCursor(bytes, start), keys, storages);
  return {
    value,
    raw: ({ key }: Storage): Uint8Array => {
      const content = raw.get(key);
      if (content === undefined) throw new PickleFault(`the storage ${quoted(key)}`, "none");
      return content;
    },
  };
}

function checkPreamble([magic, protocol, system]: readonly PickleValue[]): void {
  if (magic !== MAGIC) throw new PickleFault("PyTorch's magic number", kindOf(magic));
  if (protocol !== PROTOCOL) throw new PickleFault(`PyTorch's protocol ${PROTOCOL}`, kindOf(protocol));
  const littleEndian = system instanceof Map ? system.get("little_endian") : undefined;
  if (littleEndian !== true) throw new PickleFault("a file of a little-endian machine", "another");
}

function readStorages(
  cursor: ByteCursor,
  keys: readonly PickleValue[],
  storages: ReadonlyMap<string, Storage>,
): Map<string, Uint8Array> {
  const raw = new Map<string, Uint8Array>();
  for (const key of keys) {
    const storage = typeof key === "string" ? storages.get(key) : undefined;
    if (storage === undefined) throw new PickleFault("the key of a storage in use", kindOf(key));
    if (raw.has(storage.key)) throw new PickleFault("each storage once", `${quoted(storage.key)} twice`);
    raw.set(storage.key, cursor.bytes(cursor.length64() * itemSize(storage.dtype)));
  }
  return raw;
}
