import { endOfString } from "../json.js";
import { quoted } from "../quote.js";

/** How many members one object may have: memory stays in proportion to a hostile header. */
const MAX_MEMBERS = 1_000_000;

const WHITESPACE = /[ \t\n\r]*/y;
const NUMBER = /-?[0-9][0-9.eE+-]{0,31}/y;
const INTEGER = /^(?:0|[1-9][0-9]{0,15})$/;

/**
 * Reads JSON by the schema that its caller asks for, element by element.
 *
 * JSON.parse would build whatever a hostile header nests, keep the last of duplicate keys, round large integers and
 * move keys such as "0" to the front; this reader holds only what was asked for and keeps the order.
 */
export class JsonReader {
  readonly #text: string;
  readonly #fault: (expected: string, received: string) => Error;
  #at = 0;

  /** @param fault makes the error to throw from what was expected and what came. */
  constructor(text: string, fault: (expected: string, received: string) => Error) {
    this.#text = text;
    this.#fault = fault;
  }

  /** Reads an object; `member` is called with each key and must read its value. A key that comes twice is an error. */
  object(member: (key: string) => void): void {
    this.#expect("{");
    if (this.#take("}")) return;
    const keys = new Set<string>();
    do {
      const key = this.string();
      if (keys.has(key)) throw this.#fault("each key once", `${quoted(key)} twice`);
      if (keys.size === MAX_MEMBERS) throw this.#fault(`at most ${MAX_MEMBERS} names`, "more");
      keys.add(key);
      this.#expect(":");
      member(key);
    } while (this.#take(","));
    this.#expect("}");
  }

  /** Reads an array of at most `limit` non-negative safe integers, written in plain digits. */
  integers(limit: number): number[] {
    const values: number[] = [];
    this.#expect("[");
    if (this.#take("]")) return values;
    do {
      if (values.length === limit) throw this.#fault(`at most ${limit} integers in a list`, "more");
      values.push(this.#integer());
    } while (this.#take(","));
    this.#expect("]");
    return values;
  }

  /** Reads a string. */
  string(): string {
    this.#skipWhitespace();
    const start = this.#at;
    if (this.#text[start] !== '"') throw this.#unexpected("a string");
    this.#at = endOfString(this.#text, start) + 1;
    const token = this.#text.slice(start, this.#at);
    try {
      return JSON.parse(token) as string;
    } catch {
      throw this.#fault("a string", quoted(token, 24));
    }
  }

  /** Checks that only white space is left. */
  end(): void {
    this.#skipWhitespace();
    if (this.#at < this.#text.length) throw this.#unexpected("nothing more");
  }

  #integer(): number {
    this.#skipWhitespace();
    NUMBER.lastIndex = this.#at;
    const token = NUMBER.exec(this.#text)?.[0];
    if (token === undefined) throw this.#unexpected("a non-negative integer");
    const value = Number(token);
    if (!INTEGER.test(token) || !Number.isSafeInteger(value)) {
      throw this.#fault("a non-negative integer below 2^53", token);
    }
    this.#at += token.length;
    return value;
  }

  #take(character: string): boolean {
    this.#skipWhitespace();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #expect(character: string): void {
    if (!this.#take(character)) throw this.#unexpected(quoted(character));
  }

  #skipWhitespace(): void {
    WHITESPACE.lastIndex = this.#at;
    WHITESPACE.test(this.#text);
    this.#at = WHITESPACE.lastIndex;
  }

  #unexpected(expected: string): Error {
    const rest = this.#text.slice(this.#at, this.#at + 25);
    return this.#fault(expected, rest === "" ? "the header's end" : quoted(rest, 24));
  }
}
