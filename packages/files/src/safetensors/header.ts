import { UserError } from "../errors.js";
import { quoted } from "../quote.js";
import { byteLengthOf, DTYPE_NAMES, isDtype, MAX_RANK, type SafetensorsDtype, SHAPE_RULE } from "./dtype.js";
import { JsonReader } from "./json.js";

/** Bytes before the header: its length as a little-endian uint64. */
export const PREFIX_LENGTH = 8;

/** The longest header in bytes, the same as the reference implementation's. */
export const MAX_HEADER_LENGTH = 100_000_000;

/** The header's key that holds the metadata, and so can't be a tensor's name. */
export const METADATA_KEY = "__metadata__";

/** Where a tensor lies: `begin` and `end` in bytes, relative to the data after the header. */
export interface TensorInfo {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** What a file's header says, checked against the file's size; the tensors stand in the header's order. */
export interface SafetensorsHeader {
  readonly tensors: Map<string, TensorInfo>;
  readonly metadata: Record<string, string>;
  /** The byte of the file at which the data begins. */
  readonly dataOffset: number;
  /** Bytes of the whole file. */
  readonly byteLength: number;
}

/**
 * The header's length in bytes, from a file's first {@link PREFIX_LENGTH} bytes.
 *
 * @param byteLength bytes of the whole file.
 * @throws {UserError} when the file is too short for it or it is over {@link MAX_HEADER_LENGTH}.
 */
export function headerLength(prefix: Uint8Array, byteLength: number, source: string): number {
  if (byteLength < PREFIX_LENGTH) {
    throw readFault(source, undefined, `at least ${PREFIX_LENGTH} bytes`, `${byteLength} bytes`);
  }
  const length = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  if (length > MAX_HEADER_LENGTH) {
    throw readFault(source, undefined, `a header of at most ${MAX_HEADER_LENGTH} bytes`, `one of ${length}`);
  }
  const room = byteLength - PREFIX_LENGTH;
  if (length > room) throw readFault(source, undefined, `a header within the ${room} bytes left`, `one of ${length}`);
  return Number(length);
}

/**
 * Reads a header and checks that the tensors' data fill the rest of the file exactly: no overlap, hole or rest.
 *
 * @param json the header's bytes, without the length before them.
 * @param byteLength bytes of the whole file.
 * @throws {UserError} naming the file, the tensor and what is wrong.
 */
export function parseHeader(json: Uint8Array, byteLength: number, source: string): SafetensorsHeader {
  const dataOffset = PREFIX_LENGTH + json.byteLength;
  const dataLength = byteLength - dataOffset;
  const tensors = new Map<string, TensorInfo>();
  const metadata: Record<string, string> = Object.create(null);
  let part: string | undefined;
  const fail = (expected: string, received: string) => readFault(source, part, expected, received);
  const reader = new JsonReader(decodeHeader(json, source), fail);
  reader.object((name) => {
    part = name === METADATA_KEY ? "the metadata" : `tensor ${quoted(name)}`;
    if (name === METADATA_KEY) {
      reader.object((key) => {
        metadata[key] = reader.string();
      });
    } else {
      tensors.set(name, readTensorInfo(reader, dataLength, fail));
    }
    part = undefined;
  });
  reader.end();
  checkCoverage(tensors, dataLength, source);
  return { tensors, metadata, dataOffset, byteLength };
}

function decodeHeader(json: Uint8Array, source: string): string {
  // The format asks for it: no white space or byte-order mark may come first.
  if (json[0] !== 0x7b) {
    const received = json[0] === undefined ? "an empty one" : `the byte 0x${json[0].toString(16).padStart(2, "0")}`;
    throw readFault(source, undefined, 'a header that begins with "{"', received);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(json);
  } catch {
    throw readFault(source, undefined, "a header in UTF-8", "other bytes");
  }
}

type Fail = (expected: string, received: string) => UserError;

function readTensorInfo(reader: JsonReader, dataLength: number, fail: Fail): TensorInfo {
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  reader.object((field) => {
    if (field === "dtype") dtype = reader.string();
    else if (field === "shape") shape = reader.integers(MAX_RANK);
    else if (field === "data_offsets") offsets = reader.integers(2);
    else throw fail("the fields dtype, shape and data_offsets alone", quoted(field));
  });
  if (dtype === undefined || shape === undefined || offsets === undefined) {
    throw fail("the fields dtype, shape and data_offsets", "fewer");
  }
  return checkTensorInfo(dtype, shape, offsets, dataLength, fail);
}

function checkTensorInfo(
  dtype: string,
  shape: number[],
  [begin, end]: readonly number[],
  dataLength: number,
  fail: Fail,
): TensorInfo {
  if (!isDtype(dtype)) throw fail(`one of the dtypes ${DTYPE_NAMES}`, quoted(dtype));
  if (begin === undefined || end === undefined) throw fail("two data_offsets", "fewer");
  if (begin > end) throw fail("data_offsets in ascending order", `[${begin}, ${end}]`);
  if (end > dataLength) throw fail(`data within the file's ${dataLength} data bytes`, `an end at byte ${end}`);
  const length = byteLengthOf(dtype, shape);
  if (length === undefined) throw fail(SHAPE_RULE, `[${shape.join(", ")}]`);
  if (length !== end - begin) {
    throw fail(`${length} data bytes, as ${dtype} [${shape.join(", ")}] takes`, `${end - begin}`);
  }
  return { dtype, shape, begin, end };
}

function checkCoverage(tensors: ReadonlyMap<string, TensorInfo>, dataLength: number, source: string): void {
  const inFileOrder = [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let covered = 0;
  for (const [name, { begin, end }] of inFileOrder) {
    if (begin !== covered) {
      const received = `${begin < covered ? "an overlap" : "a hole"}: a beginning at byte ${begin}`;
      throw readFault(source, `tensor ${quoted(name)}`, `data from byte ${covered}, where those before end`, received);
    }
    covered = end;
  }
  if (covered !== dataLength) {
    throw readFault(source, undefined, `${covered} data bytes, as the header says`, `${dataLength}`);
  }
}

/**
 * The error for a file that can't be read.
 *
 * @param part what of the file is wrong, e.g. `tensor "a"`; undefined for the file as a whole.
 */
export function readFault(source: string, part: string | undefined, expected: string, received: string): UserError {
  const file = quoted(source);
  return new UserError({
    operation: "read safetensors",
    argument: part === undefined ? file : `${part} of ${file}`,
    expected,
    received,
    remedy: "the file is damaged or not in this format: write or download it again",
  });
}
