import { quoted } from "@peekaboo/files/errors";
import { narrowed } from "./cursor.js";
import { PickleFault } from "./values.js";

/** Digits of the longest decimal integer. */
const MAX_DIGITS = 2500;

/** An integer as protocol 0 writes it, e.g. "-12". */
export function parseInteger(text: string): number | bigint {
  if (text.length > MAX_DIGITS || !/^\s*[+-]?\d+\s*$/.test(text))
    throw new PickleFault("a decimal integer", quoted(text, 24));
  return narrowed(BigInt(text.trim().replace("+", "")));
}

/** A float as protocol 0 writes it: Python's repr, with inf and nan. */
export function parseFloatText(text: string): number {
  const special = /^([+-]?)(inf|nan)$/.exec(text);
  if (special !== null) return special[2] === "nan" ? Number.NaN : special[1] === "-" ? -Infinity : Infinity;
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) throw new PickleFault("a decimal number", quoted(text, 24));
  return Number(text);
}

const ESCAPED = /\\(?:x([0-9a-fA-F]{2})|([0-7]{1,3})|([\s\S]))/g;
const SIMPLE: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  "'": "'",
  '"': '"',
};

/** A Python 2 string as protocol 0 writes it: its repr, in quotes. The result's characters are bytes. */
export function parseQuoted(text: string): string {
  const quote = text[0];
  if (text.length < 2 || (quote !== "'" && quote !== '"') || text.at(-1) !== quote)
    throw new PickleFault("a text in quotes", quoted(text, 24));
  return text.slice(1, -1).replace(ESCAPED, (whole, hex?: string, octal?: string, letter?: string) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 0xff);
    return SIMPLE[letter ?? ""] ?? whole;
  });
}

/** A text in Python's raw-unicode-escape: latin-1 with \uXXXX and \UXXXXXXXX. */
export function parseRawUnicode(text: string): string {
  return text.replace(/\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})/g, (_, short?: string, long?: string) => {
    const point = Number.parseInt(short ?? long ?? "", 16);
    if (point > 0x10ffff) throw new PickleFault("a Unicode character", `number ${point}`);
    return String.fromCodePoint(point);
  });
}
