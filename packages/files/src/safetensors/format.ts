import { UserError } from "../errors.js";
import { quoted } from "../quote.js";
import {
  byteLengthOf,
  DTYPE_NAMES,
  firstNonBoolean,
  isDtype,
  itemSize,
  type SafetensorsDtype,
  SHAPE_RULE,
} from "./dtype.js";
import {
  headerLength,
  MAX_HEADER_LENGTH,
  METADATA_KEY,
  PREFIX_LENGTH,
  parseHeader,
  readFault,
  type SafetensorsHeader,
} from "./header.js";

/** A tensor as a file holds it: row-major elements as little-endian bytes. */
export interface TensorEntry {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** A file's tensors by name, in the header's order, and its metadata. */
export interface SafetensorsFile {
  readonly tensors: Map<string, TensorEntry>;
  /** Without a prototype, so that any key is an ordinary one. */
  readonly metadata: Record<string, string>;
}

/**
 * Reads safetensors from memory; every tensor's data is a view of `bytes`.
 *
 * @param source what the error messages call the file.
 * @throws {UserError} naming the file, the tensor and what is wrong with it.
 */
export function parseSafetensors(bytes: Uint8Array, source: string): SafetensorsFile {
  const end = PREFIX_LENGTH + headerLength(bytes, bytes.byteLength, source);
  const header = parseHeader(bytes.subarray(PREFIX_LENGTH, end), bytes.byteLength, source);
  return attachData(header, bytes.subarray(end), source);
}

/**
 * The tensors of a checked header as views of the file's data.
 *
 * @param data all bytes after the header.
 * @throws {UserError} when a BOOL tensor holds a byte other than 0 and 1.
 */
export function attachData(header: SafetensorsHeader, data: Uint8Array, source: string): SafetensorsFile {
  const tensors = new Map<string, TensorEntry>();
  for (const [name, { dtype, shape, begin, end }] of header.tensors) {
    const view = new Uint8Array(data.buffer, data.byteOffset + begin, end - begin);
    const wrong = dtype === "BOOL" ? firstNonBoolean(view) : -1;
    if (wrong >= 0) throw readFault(source, `tensor ${quoted(name)}`, "BOOL bytes of 0 or 1", `${view[wrong]}`);
    tensors.set(name, { dtype, shape, data: view });
  }
  return { tensors, metadata: header.metadata };
}

/**
 * Lays tensors out as a safetensors file, returned in parts: the header, then the tensors' own bytes, uncopied.
 *
 * The layout is that of {@link layOutSafetensors}.
 *
 * @throws {UserError} naming the tensor when its name comes twice or its dtype, shape and data disagree.
 */
export function encodeSafetensors(
  tensors: Iterable<readonly [string, TensorEntry]>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array[] {
  const entries = [...tensors];
  for (const [name, entry] of entries) checkEntry(name, entry, writeFault);
  const { header, places } = layOutSafetensors(entries, metadata);
  const data = new Map(entries.map(([name, entry]) => [name, entry.data]));
  return [header, ...[...places.keys()].flatMap((name) => data.get(name) ?? [])];
}

/** A safetensors file but for the tensors' data. */
export interface SafetensorsLayout {
  /** The bytes before the data. */
  readonly header: Uint8Array;
  /** Where each tensor's data lie after the header, in their order there. */
  readonly places: ReadonlyMap<string, { readonly begin: number; readonly end: number }>;
  /** Bytes of the whole file. */
  readonly byteLength: number;
}

/**
 * The header and the places of a file's tensors, from what they are.
 *
 * The header lists the tensors in the order given. Their data are sorted by falling item size, as the reference
 * implementation does, and the header is padded with spaces to 8 bytes, so that every tensor is aligned in the file.
 *
 * @throws {UserError} naming the tensor when its name comes twice, or its dtype or shape can't be written.
 */
export function layOutSafetensors(
  tensors: Iterable<readonly [string, Pick<TensorEntry, "dtype" | "shape">]>,
  metadata: Readonly<Record<string, string>> = {},
): SafetensorsLayout {
  const sizes = new Map<string, Size>();
  for (const [name, { dtype, shape }] of tensors) {
    if (sizes.has(name)) throw writeFault(`tensor ${quoted(name)}`, "each name once", "it twice");
    if (name === METADATA_KEY) throw writeFault(`tensor ${quoted(name)}`, "another name", "the metadata's key");
    sizes.set(name, {
      dtype,
      shape,
      byteLength: checkedByteLength(`tensor ${quoted(name)}`, dtype, shape, writeFault),
    });
  }
  const places = new Map<string, { begin: number; end: number }>();
  let end = 0;
  for (const [name, { byteLength }] of [...sizes].sort(([, a], [, b]) => itemSize(b.dtype) - itemSize(a.dtype))) {
    places.set(name, { begin: end, end: end + byteLength });
    end += byteLength;
  }
  const header = encodeHeader(sizes, places, metadata);
  return { header, places, byteLength: header.byteLength + end };
}

interface Size extends Pick<TensorEntry, "dtype" | "shape"> {
  byteLength: number;
}

function encodeHeader(
  sizes: ReadonlyMap<string, Size>,
  places: SafetensorsLayout["places"],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const members: string[] = [];
  const texts = Object.entries(metadata);
  for (const [key, text] of texts) {
    if (typeof text !== "string") throw writeFault(`metadata ${quoted(key)}`, "a string", typeof text);
  }
  // Pieced together: an object would move keys such as "0" to the front and lose "__proto__".
  if (texts.length > 0) {
    const pairs = texts.map(([key, text]) => `${JSON.stringify(key)}:${JSON.stringify(text)}`);
    members.push(`"${METADATA_KEY}":{${pairs.join(",")}}`);
  }
  for (const [name, { dtype, shape, byteLength }] of sizes) {
    const { begin, end } = places.get(name) ?? { begin: 0, end: byteLength };
    const info = JSON.stringify({ dtype, shape, data_offsets: [begin, end] });
    members.push(`${JSON.stringify(name)}:${info}`);
  }
  return frameHeader(new TextEncoder().encode(`{${members.join(",")}}`));
}

/** The length, the header and the spaces that take its end to a multiple of 8 bytes. */
function frameHeader(json: Uint8Array): Uint8Array {
  const length = Math.ceil(json.byteLength / 8) * 8;
  if (length > MAX_HEADER_LENGTH) {
    throw writeFault("the header", `at most ${MAX_HEADER_LENGTH} bytes`, `${length} of names, shapes and metadata`);
  }
  const header = new Uint8Array(PREFIX_LENGTH + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, PREFIX_LENGTH);
  return header;
}

/** The arrays that {@link asTypedArray} returns. */
export type TensorArray =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint8Array;

/**
 * A tensor's elements as the typed array of its dtype (BOOL as a Uint8Array of 0 and 1): a view of its bytes, or a
 * copy where they are misaligned. The machine must be little-endian, as all that libtorch is packaged for are.
 *
 * @throws {UserError} for F16 and BF16, which JavaScript has no array for, or when dtype, shape and data disagree.
 */
export function asTypedArray(entry: TensorEntry): TensorArray {
  checkEntry(undefined, entry, (argument, expected, received) => {
    return new UserError({ operation: "asTypedArray", argument, expected, received });
  });
  const { dtype } = entry;
  const aligned = entry.data.byteOffset % itemSize(dtype) === 0 ? entry.data : new Uint8Array(entry.data);
  const { buffer, byteOffset } = aligned;
  const length = aligned.byteLength / itemSize(dtype);
  switch (dtype) {
    case "F64":
      return new Float64Array(buffer, byteOffset, length);
    case "F32":
      return new Float32Array(buffer, byteOffset, length);
    case "I64":
      return new BigInt64Array(buffer, byteOffset, length);
    case "I32":
      return new Int32Array(buffer, byteOffset, length);
    case "I16":
      return new Int16Array(buffer, byteOffset, length);
    case "I8":
      return new Int8Array(buffer, byteOffset, length);
    case "U8":
    case "BOOL":
      return new Uint8Array(buffer, byteOffset, length);
    case "F16":
    case "BF16":
      throw new UserError({
        operation: "asTypedArray",
        argument: "the tensor",
        expected: "a dtype that JavaScript has an array for",
        received: dtype,
        remedy: "use its bytes, or convert it to F32 first",
      });
  }
}

type MakeFault = (argument: string, expected: string, received: string) => UserError;

function checkEntry(name: string | undefined, { dtype, shape, data }: TensorEntry, fault: MakeFault): void {
  const argument = name === undefined ? "the tensor" : `tensor ${quoted(name)}`;
  const length = checkedByteLength(argument, dtype, shape, fault);
  if (length !== data.byteLength) {
    throw fault(argument, `${length} data bytes, as ${dtype} [${shape.join(", ")}] takes`, `${data.byteLength}`);
  }
  const wrong = dtype === "BOOL" ? firstNonBoolean(data) : -1;
  if (wrong >= 0) throw fault(argument, "BOOL bytes of 0 or 1", `${data[wrong]}`);
}

function checkedByteLength(
  argument: string,
  dtype: SafetensorsDtype,
  shape: readonly number[],
  fault: MakeFault,
): number {
  if (!isDtype(dtype)) throw fault(argument, `one of the dtypes ${DTYPE_NAMES}`, quoted(String(dtype)));
  const length = byteLengthOf(dtype, shape);
  if (length === undefined) throw fault(argument, SHAPE_RULE, `[${shape.join(", ")}]`);
  return length;
}

function writeFault(argument: string, expected: string, received: string): UserError {
  return new UserError({ operation: "write safetensors", argument, expected, received });
}
