import { readSafetensors } from "@peekaboo/files";
import { quoted, UserError } from "@peekaboo/files/errors";
import { asTypedArray, type TensorEntry } from "@peekaboo/files/safetensors";
import { type Tensor, tensorOf } from "@peekaboo/torch";
import type { Numbers } from "./compare.js";

/** The inputs and expected outputs of a case. */
export class GoldenFile {
  readonly path: string;
  readonly #tensors: ReadonlyMap<string, TensorEntry>;

  /** @throws {UserError} when the file is missing or broken. */
  constructor(path: string) {
    this.path = path;
    this.#tensors = readSafetensors(path).tensors;
  }

  /** The entry of that name. @throws {UserError} when there is none. */
  entry(name: string): TensorEntry {
    const entry = this.#tensors.get(name);
    if (entry !== undefined) return entry;
    throw new UserError({
      operation: "read golden cases",
      argument: quoted(this.path),
      expected: `a tensor ${quoted(name)}`,
      received: "none",
    });
  }

  /** A copy of the entry of that name as a tensor. @throws {UserError} when there is none. */
  tensor(name: string): Tensor {
    return tensorOf(this.entry(name));
  }

  /** The elements of the entry of that name. @throws {UserError} when there is none. */
  values(name: string): Numbers {
    return asTypedArray(this.entry(name));
  }

  /** All entries. */
  get entries(): ReadonlyMap<string, TensorEntry> {
    return this.#tensors;
  }

  /** The entries whose names start with `prefix` and a dot, by the rest of their names; at least one. */
  group(prefix: string): Map<string, TensorEntry> {
    const start = `${prefix}.`;
    const group = new Map<string, TensorEntry>();
    for (const [name, entry] of this.#tensors) if (name.startsWith(start)) group.set(name.slice(start.length), entry);
    if (group.size === 0) this.entry(`${start}NAME`);
    return group;
  }
}
