import { writeFileAtomic } from "@peekaboo/files";
import { quoted, UserError } from "@peekaboo/files/errors";
import { byteLengthOf, type TensorEntry } from "@peekaboo/files/safetensors";
import { PickleWriter } from "./pickle-writer.js";

/** The folder inside the archive; torch.load takes any. */
const FOLDER = "archive";

/**
 * Writes tensors as torch.save writes a state dict, an OrderedDict of tensors in the order given, whole or not at all;
 * the same tensors give the same bytes.
 *
 * @throws {UserError} naming the tensor that can't be written, or the path and why it can't be.
 */
export async function writePth(path: string, tensors: Iterable<readonly [string, TensorEntry]>): Promise<void> {
  writeFileAtomic(path, await encodePth(tensors));
}

/** As {@link writePth}, in memory: the file's parts in order. */
export async function encodePth(tensors: Iterable<readonly [string, TensorEntry]>): Promise<Uint8Array[]> {
  const entries = new Map<string, TensorEntry>();
  for (const [name, entry] of tensors) {
    if (entries.has(name)) throw writeFault(name, "each name once", "it twice");
    check(name, entry);
    entries.set(name, entry);
  }
  const { ZipFile } = (await import("yazl")).default;
  const zip = new ZipFile();
  // Local time, as zip archives have it: the same bytes at any time in every time zone.
  const mtime = new Date(2000, 0, 1);
  const add = (name: string, { buffer, byteOffset, byteLength }: Uint8Array) => {
    const content = Buffer.from(buffer, byteOffset, byteLength);
    const options = { compress: false, mtime, forceDosTimestamp: true, mode: 0o100644 };
    zip.addBuffer(content, `${FOLDER}/${name}`, options);
  };
  add("data.pkl", encodeStateDict(entries));
  add("byteorder", Buffer.from("little"));
  for (const [key, { data }] of [...entries.values()].entries()) add(`data/${key}`, data);
  add("version", Buffer.from("3\n"));
  zip.end();
  return await collect(zip.outputStream);
}

async function collect(stream: NodeJS.ReadableStream): Promise<Uint8Array[]> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(typeof part === "string" ? Buffer.from(part) : part);
  return parts;
}

/** A pickle of OrderedDict([(name, tensor), …]), in PyTorch's own calls (torch/_utils.py, torch/serialization.py). */
function encodeStateDict(entries: ReadonlyMap<string, TensorEntry>): Uint8Array {
  const pickle = new PickleWriter();
  pickle.emptyOrderedDict();
  pickle.items(entries, ([key, { dtype, shape }], index) => {
    pickle.text(key);
    pickle.tensor({ dtype, shape, key: `${index}` });
  });
  return pickle.end();
}

function check(name: string, { dtype, shape, data }: TensorEntry): void {
  const bytes = byteLengthOf(dtype, shape);
  if (bytes !== data.byteLength)
    throw writeFault(name, `${bytes ?? "no"} bytes, as ${dtype} [${shape}] takes`, `${data.byteLength}`);
}

function writeFault(name: string, expected: string, received: string): UserError {
  return new UserError({ operation: "write PyTorch file", argument: `tensor ${quoted(name)}`, expected, received });
}
