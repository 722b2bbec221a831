import { quoted } from "@peekaboo/files/errors";
import { narrowed } from "./cursor.js";
import { Complex } from "./plain.js";
import { isSequence, kindOf, PickleFault, PickleGlobal, PickleObject, type PickleValue } from "./values.js";

/** Sizes of an array's shape: numpy's own limit. */
const MAX_RANK = 64;
/** A dtype that is plain data: its kind and its bytes (characters for "U"); objects and structures aren't. */
const PLAIN = /^([biufcSUmM])(\d{1,7})$/;
const SIZES: Readonly<Record<string, readonly number[]>> = {
  b: [1],
  i: [1, 2, 4, 8],
  u: [1, 2, 4, 8],
  f: [2, 4, 8, 12, 16],
  c: [8, 16, 24, 32],
  m: [8],
  M: [8],
};

/** A numpy.dtype of numbers, booleans, bytes, text or times; what else its state tells is checked when that comes. */
export class NumpyDtype extends PickleObject {
  /** As numpy writes it, e.g. "u1". */
  readonly code: string;
  readonly kind: string;
  /** Of an element. */
  readonly bytes: number;
  bigEndian: boolean;

  /** @throws {PickleFault} unless it is one of plain data. */
  constructor(written: string) {
    super();
    const [, order = "", code = ""] = /^([<>=|]?)(.*)$/s.exec(written) ?? [];
    const [, kind = "", size = ""] = PLAIN.exec(code) ?? [];
    if (kind === "" || SIZES[kind]?.includes(Number(size)) === false)
      throw new PickleFault("a dtype of plain data", quoted(written, 24));
    this.code = code;
    this.kind = kind;
    this.bytes = Number(size) * (kind === "U" ? 4 : 1);
    this.bigEndian = order === ">";
  }

  /** (version, byte order, subdtype, names, fields, …): numpy's descriptor.c. */
  override setState(state: PickleValue): void {
    const [, order, ...more] = isSequence(state) ? state : [];
    const plain = more.slice(0, 3).every((part) => part === null);
    if (!["|", "<", "=", ">"].includes(textOf(order)) || !plain)
      throw new PickleFault("a plain dtype", `${quoted(textOf(order), 8)} and ${kindOf(state)}`);
    this.bigEndian = textOf(order) === ">";
  }
}

/** A numpy.ndarray as pickled: how its elements lie, and their bytes, a view of the pickle's; who reads them counts them. */
export class NumpyArray extends PickleObject {
  /** E.g. "u1"; empty until the pickle told. */
  dtype = "";
  bigEndian = false;
  shape: readonly number[] = [];
  /** Whether the first index moves fastest. */
  fortran = false;
  data: Uint8Array = new Uint8Array(0);

  /** (version, shape, dtype, is_fortran, bytes): numpy's ndarray.__setstate__. */
  override setState(state: PickleValue): void {
    const [, shape, dtype, fortran, data] = isSequence(state) ? state : [];
    if (typeof fortran !== "boolean" && typeof fortran !== "number")
      throw new PickleFault("an array's order", kindOf(fortran));
    this.#fill(data, dtype, shape, Boolean(fortran));
  }

  /** (bytes, dtype, shape, order): numpy's _frombuffer, by which protocol 5 has it. */
  static fromBuffer([data, dtype, shape, order]: readonly PickleValue[]): NumpyArray {
    const written = textOf(order);
    if (written !== "C" && written !== "F") throw new PickleFault("an array's order", quoted(written, 8));
    const array = new NumpyArray();
    array.#fill(data, dtype, shape, written === "F");
    return array;
  }

  #fill(
    data: PickleValue | undefined,
    dtype: PickleValue | undefined,
    shape: PickleValue | undefined,
    fortran: boolean,
  ): void {
    if (!isSequence(shape) || shape.length > MAX_RANK || !shape.every(isSize))
      throw new PickleFault("an array's shape", kindOf(shape));
    if (!(dtype instanceof NumpyDtype)) throw new PickleFault("an array's dtype", kindOf(dtype));
    if (!(data instanceof Uint8Array)) throw new PickleFault("an array's bytes", kindOf(data));
    this.dtype = dtype.code;
    this.bigEndian = dtype.bigEndian;
    this.shape = shape;
    this.fortran = fortran;
    this.data = data;
  }
}

/** A numpy scalar that JavaScript has no value for: its dtype, e.g. "f16" or "M8", and its bytes. */
export class NumpyScalar extends PickleObject {
  readonly dtype: string;
  readonly data: Uint8Array;

  constructor(dtype: string, data: Uint8Array) {
    super();
    this.dtype = dtype;
    this.data = data;
  }
}

const ndarray = new PickleGlobal("numpy.ndarray");

/** What a pickle of numpy's scalars and arrays may name, under numpy 1's names and numpy 2's. */
export const numpyGlobals: ReadonlyMap<string, PickleGlobal> = new Map(
  [
    ndarray,
    new PickleGlobal("numpy.dtype", ([code]) => new NumpyDtype(textOf(code))),
    ...["numpy.core", "numpy._core"].flatMap((module) => [
      new PickleGlobal(`${module}.multiarray._reconstruct`, reconstruct),
      new PickleGlobal(`${module}.multiarray.scalar`, scalar),
      new PickleGlobal(`${module}.numeric._frombuffer`, NumpyArray.fromBuffer),
    ]),
    new PickleGlobal("_codecs.encode", encode),
  ].map((known) => [known.name, known]),
);

function reconstruct([type]: readonly PickleValue[]): NumpyArray {
  if (type !== ndarray) throw new PickleFault("a numpy.ndarray to reconstruct", kindOf(type));
  return new NumpyArray();
}

/** (dtype, bytes): the number, boolean, text or bytes that the scalar is. */
function scalar([dtype, data]: readonly PickleValue[]): PickleValue {
  if (!(dtype instanceof NumpyDtype)) throw new PickleFault("a scalar's dtype", kindOf(dtype));
  if (!(data instanceof Uint8Array)) throw new PickleFault("a scalar's bytes", kindOf(data));
  if (data.byteLength !== dtype.bytes) throw new PickleFault(`${dtype.bytes} bytes of a scalar`, `${data.byteLength}`);
  return elementOf(dtype, data);
}

function elementOf({ code, kind, bytes, bigEndian }: NumpyDtype, data: Uint8Array): PickleValue {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (kind === "b") return view.getUint8(0) !== 0;
  if (kind === "i" || kind === "u") return narrowed(integerOf(view, kind === "i", !bigEndian));
  if (kind === "f" && bytes <= 8) return floatOf(view, 0, bytes, !bigEndian);
  if (kind === "c" && bytes <= 16) {
    const half = bytes / 2;
    return new Complex(floatOf(view, 0, half, !bigEndian), floatOf(view, half, half, !bigEndian));
  }
  if (kind === "U") return charactersOf(view, !bigEndian);
  return kind === "S" ? data : new NumpyScalar(code, data);
}

function integerOf(view: DataView, signed: boolean, little: boolean): bigint {
  let value = 0n;
  for (let i = 0; i < view.byteLength; i++) {
    value = (value << 8n) | BigInt(view.getUint8(little ? view.byteLength - 1 - i : i));
  }
  return signed ? BigInt.asIntN(8 * view.byteLength, value) : value;
}

function floatOf(view: DataView, at: number, bytes: number, little: boolean): number {
  if (bytes === 8) return view.getFloat64(at, little);
  return bytes === 4 ? view.getFloat32(at, little) : halfOf(view.getUint16(at, little));
}

/** IEEE 754's binary16. */
function halfOf(bits: number): number {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 0x1f, bits & 0x3ff];
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** Text of four bytes a character, without the zeros that fill it up. */
function charactersOf(view: DataView, little: boolean): string {
  let text = "";
  for (let at = 0; at < view.byteLength; at += 4) {
    const point = view.getUint32(at, little);
    if (point > 0x10ffff) throw new PickleFault("a Unicode character", `number ${point}`);
    text += String.fromCodePoint(point);
  }
  return text.replace(/\0+$/, "");
}

/** _codecs.encode(text, "latin1"): how Python 3 writes bytes for Python 2. */
function encode([text, encoding]: readonly PickleValue[]): Uint8Array {
  if (typeof text !== "string" || !["latin1", "latin-1", "iso-8859-1"].includes(textOf(encoding)))
    throw new PickleFault("text to encode in latin1", `${kindOf(text)} and ${quoted(textOf(encoding), 24)}`);
  return Buffer.from(text, "latin1");
}

function isSize(value: PickleValue): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** A short name, be it text or Python 2's bytes. */
function textOf(value: PickleValue | undefined): string {
  if (typeof value === "string") return value;
  return value instanceof Uint8Array && value.byteLength <= 64 ? Buffer.from(value).toString("latin1") : "";
}
