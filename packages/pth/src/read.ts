import { withFile } from "@peekaboo/files";
import { quoted, UserError } from "@peekaboo/files/errors";
import { itemSize, type TensorEntry } from "@peekaboo/files/safetensors";
import { Allowance } from "./allowance.js";
import { storageOf, torchGlobals } from "./globals.js";
import { isLegacy, readLegacy } from "./legacy.js";
import { unpickle } from "./pickle/unpickle.js";
import { PickleFault, type PickleValue } from "./pickle/values.js";
import { materialise, type Storage, type StoredTensor } from "./tensor.js";
import { contentOf, readZipDirectory, type ZipEntry } from "./zip.js";

const OPERATION = "read PyTorch file";
const DAMAGED = "the file is damaged or not in this format: write or download it again";
const REMEDIES = {
  damaged: DAMAGED,
  foreign: "in Python, save the state alone: torch.save(model.state_dict(), FILE)",
};

/** A PyTorch file: what was saved, its tensors still where they lie in the file. */
export interface PthFile {
  readonly value: PickleValue;
  /** A tensor's elements. @throws {UserError} when the file doesn't hold them. */
  entryOf(tensor: StoredTensor): TensorEntry;
}

/** Where raw storages come from. @throws {PickleFault} for one that is missing or damaged. */
type RawStorages = (storage: Storage) => Uint8Array;

/** Whether a file begins as one that torch.save wrote; 32 bytes are enough. */
export function isPth(beginning: Uint8Array): boolean {
  return isZip(beginning) || isLegacy(beginning);
}

function isZip(beginning: Uint8Array): boolean {
  return Buffer.from(beginning.subarray(0, 4)).equals(Buffer.from("PK\x03\x04", "latin1"));
}

/**
 * Reads a file that torch.save wrote, without PyTorch: the zip format of 1.6 and later, or the one before. Nothing in it
 * is executed; it may hold tensors, dictionaries, lists, numbers and text.
 *
 * Memory stays in proportion to the file; a tensor that lies row-major is a view of it.
 *
 * @throws {UserError} naming the file and what is wrong with it, or the class that it holds.
 */
export async function readPth(path: string): Promise<PthFile> {
  const bytes = withFile(OPERATION, path, (file) => file.read(0, file.size));
  return parsePth(bytes, path);
}

/** As {@link readPth}, from memory; `source` is what the error messages call the file. */
export async function parsePth(bytes: Uint8Array, source: string): Promise<PthFile> {
  const allowance = new Allowance(bytes.byteLength);
  const { value, raw } = await (isZip(bytes) ? readArchive(bytes, source, allowance) : readLegacyFile(bytes, source));
  return {
    value,
    entryOf: (tensor) => explained(source, () => materialise(tensor, raw(tensor.storage), allowance)),
  };
}

interface Contents {
  value: PickleValue;
  raw: RawStorages;
}

async function readArchive(bytes: Uint8Array, source: string, allowance: Allowance): Promise<Contents> {
  const entries = await readZipDirectory(bytes).catch((cause: unknown) => {
    throw asUserError(source, cause);
  });
  const [pickle, prefix] = explained(source, () => findPickle(entries));
  const content = explained(source, () => {
    checkByteOrder(bytes, entries.get(`${prefix}byteorder`), allowance);
    return contentOf(bytes, pickle, allowance);
  });
  const { value } = unpickle(content, {
    operation: OPERATION,
    source: quoted(source),
    globals: torchGlobals,
    persistentLoad: storageOf,
    remedies: REMEDIES,
  });
  const read = new Map<string, Uint8Array>();
  const raw = ({ key, dtype, start, length }: Storage): Uint8Array => {
    const entry = entries.get(`${prefix}data/${key}`);
    if (entry === undefined) throw new PickleFault(`the storage ${quoted(key)}`, "none");
    if (entry.size < (start + length) * itemSize(dtype))
      throw new PickleFault(`${(start + length) * itemSize(dtype)} bytes in storage ${quoted(key)}`, `${entry.size}`);
    const content = read.get(key) ?? contentOf(bytes, entry, allowance);
    read.set(key, content);
    return content;
  };
  return { value, raw };
}

/** The entry `PREFIX/data.pkl`, and the archive's one folder with its slash. */
function findPickle(entries: ReadonlyMap<string, ZipEntry>): [ZipEntry, string] {
  for (const [name, entry] of entries) {
    const prefix = /^([^/]+\/)data\.pkl$/.exec(name)?.[1];
    if (prefix === undefined) continue;
    if (!entries.has(`${prefix}version`) && !entries.has(`${prefix}.data/version`))
      throw new PickleFault("the entry version", "none");
    return [entry, prefix];
  }
  throw new PickleFault("an entry data.pkl, as torch.save writes it", "none");
}

function checkByteOrder(bytes: Uint8Array, entry: ZipEntry | undefined, allowance: Allowance): void {
  if (entry === undefined) return;
  const order = Buffer.from(contentOf(bytes, entry, allowance))
    .subarray(0, 16)
    .toString("latin1");
  if (order !== "little") throw new PickleFault("little-endian storages", quoted(order));
}

async function readLegacyFile(bytes: Uint8Array, source: string): Promise<Contents> {
  if (!isLegacy(bytes))
    throw asUserError(source, new PickleFault("a zip archive or a pickle that torch.save wrote", "neither"));
  return explained(source, () =>
    readLegacy(bytes, {
      operation: OPERATION,
      source: quoted(source),
      remedies: REMEDIES,
    }),
  );
}

function explained<T>(source: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw asUserError(source, cause);
  }
}

/** A PickleFault as the UserError that names the file; any other error as it is. */
function asUserError(source: string, cause: unknown): unknown {
  if (!(cause instanceof PickleFault)) return cause;
  const { expected, received } = cause;
  const argument = quoted(source);
  return new UserError({ operation: OPERATION, argument, expected, received, remedy: DAMAGED, cause });
}
