import { PickleFault } from "./values.js";

/** The longest text that becomes a string; longer ones are no names, and engines have a limit too. */
const MAX_TEXT = 2 ** 27;
/** Bytes of the longest integer: beyond any that files hold, and far below where arithmetic gets slow. */
const MAX_INTEGER_BYTES = 1024;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The bytes of a pickle from front to back; every length is checked against what is left. */
export class ByteCursor {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at: number;

  constructor(bytes: Uint8Array, start = 0) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = start;
  }

  /** The next byte's position. */
  get position(): number {
    return this.#at;
  }

  get left(): number {
    return this.#bytes.byteLength - this.#at;
  }

  #advance(length: number): number {
    if (length > this.left) throw new PickleFault(`${length} more bytes`, `${this.left}`);
    const from = this.#at;
    this.#at += length;
    return from;
  }

  uint8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  int32(): number {
    return this.#view.getInt32(this.#advance(4), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  /** A length of eight bytes; one beyond 2^53 loses its low digits, and is refused by whoever asks for so many bytes. */
  length64(): number {
    return Number(this.#view.getBigUint64(this.#advance(8), true));
  }

  /** A double, big-endian as pickles have them. */
  float64(): number {
    return this.#view.getFloat64(this.#advance(8), false);
  }

  /** A view of the next bytes. */
  bytes(length: number): Uint8Array {
    const from = this.#advance(length);
    return this.#bytes.subarray(from, from + length);
  }

  utf8(length: number): string {
    const bytes = this.bytes(checkedText(length));
    try {
      return utf8.decode(bytes);
    } catch {
      throw new PickleFault("text in UTF-8", "other bytes");
    }
  }

  latin1(length: number): string {
    return latin1Text(this.bytes(checkedText(length)));
  }

  /** The text up to the next newline, which is consumed, as latin-1. */
  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#at);
    if (end < 0) throw new PickleFault("a line", "the pickle's end");
    const line = this.latin1(end - this.#at);
    this.#at++;
    return line;
  }

  /** A little-endian integer in two's complement, of any length up to {@link MAX_INTEGER_BYTES}. */
  integer(length: number): number | bigint {
    if (length > MAX_INTEGER_BYTES)
      throw new PickleFault(`an integer of at most ${MAX_INTEGER_BYTES} bytes`, `${length} bytes`);
    const bytes = this.bytes(length);
    if (length === 0) return 0;
    const magnitude = BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
    const negative = (bytes[length - 1] ?? 0) >= 0x80;
    return narrowed(negative ? magnitude - (1n << BigInt(8 * length)) : magnitude);
  }
}

function checkedText(length: number): number {
  if (length > MAX_TEXT) throw new PickleFault(`a text of at most ${MAX_TEXT} bytes`, `${length}`);
  return length;
}

/** Each byte as the character of its number. */
export function latin1Text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

/** An integer as a number where one holds it exactly. */
export function narrowed(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
