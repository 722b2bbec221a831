import { quoted } from "@peekaboo/torch/errors";
import { isSequence, kindOf, PickleFault, PickleGlobal, PickleObject, type PickleValue } from "../pickle/values.js";

/** Sizes of an array's shape: numpy's own limit. */
const MAX_RANK = 64;

/** A numpy.dtype: its code as numpy writes it, e.g. "u1"; byte order and fields are checked when its state comes. */
class NumpyDtype extends PickleObject {
  readonly code: string;

  constructor(code: string) {
    super();
    this.code = code;
  }

  /** (version, byte order, subdtype, names, fields, …): numpy's descriptor.c. */
  override setState(state: PickleValue): void {
    const [, order, ...more] = isSequence(state) ? state : [];
    const plain = more.slice(0, 3).every((part) => part === null);
    if (!["|", "<", "="].includes(textOf(order)) || !plain)
      throw new PickleFault("a plain little-endian dtype", `${quoted(textOf(order), 8)} and ${kindOf(state)}`);
  }
}

/** A numpy.ndarray as pickled: its elements' bytes and how they lie. */
export class NumpyArray extends PickleObject {
  /** E.g. "u1"; empty until the pickle told. */
  dtype = "";
  shape: readonly number[] = [];
  /** Whether the first index moves fastest. */
  fortran = false;
  data: Uint8Array = new Uint8Array(0);

  /** (version, shape, dtype, is_fortran, bytes): numpy's ndarray.__setstate__. */
  override setState(state: PickleValue): void {
    const [, shape, dtype, fortran, data] = isSequence(state) ? state : [];
    if (!isSequence(shape) || shape.length > MAX_RANK || !shape.every(isSize))
      throw new PickleFault("an array's shape", kindOf(shape));
    if (!(dtype instanceof NumpyDtype)) throw new PickleFault("an array's dtype", kindOf(dtype));
    if (typeof fortran !== "boolean" && typeof fortran !== "number")
      throw new PickleFault("an array's order", kindOf(fortran));
    if (!(data instanceof Uint8Array)) throw new PickleFault("an array's bytes", kindOf(data));
    this.dtype = dtype.code;
    this.shape = shape;
    this.fortran = Boolean(fortran);
    this.data = data;
  }
}

const ndarray = new PickleGlobal("numpy.ndarray");

/** What a pickle of numpy arrays may name, under numpy 1's names and numpy 2's. */
export const numpyGlobals: ReadonlyMap<string, PickleGlobal> = new Map(
  [
    ndarray,
    new PickleGlobal("numpy.dtype", ([code]) => new NumpyDtype(textOf(code))),
    new PickleGlobal("numpy.core.multiarray._reconstruct", reconstruct),
    new PickleGlobal("numpy._core.multiarray._reconstruct", reconstruct),
    new PickleGlobal("_codecs.encode", encode),
  ].map((known) => [known.name, known]),
);

function reconstruct([type]: readonly PickleValue[]): NumpyArray {
  if (type !== ndarray) throw new PickleFault("a numpy.ndarray to reconstruct", kindOf(type));
  return new NumpyArray();
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
