import { basename } from "node:path";
import type { Variant } from "./architecture.js";

/** A network of the user's own, as `--arch` names it: `[VARIANT:]FILE[#EXPORT]`. */
export interface OwnReference {
  readonly variant: Variant;
  readonly path: string;
  /** Null: the default one, or the only one. */
  readonly exported: string | null;
  /** File and export, without its folder: what it is called in files that go elsewhere. */
  readonly name: string;
}

const REFERENCE = /^(?:(plain|psg|seed|psg-seed):)?(.+\.[cm]?[jt]s)(?:#([\w$]+))?$/;

/** What a name of a network refers to when that is a file; null for the name of an architecture. */
export function ownReference(name: string): OwnReference | null {
  const match = REFERENCE.exec(name);
  if (match === null) return null;
  const [, variant = "psg", path = "", exported = null] = match;
  const own = exported === null ? basename(path) : `${basename(path)}#${exported}`;
  return { variant: variant as Variant, path, exported, name: own };
}

/** A network's name without folders: paths are one machine's own. */
export function portableName(name: string): string {
  const reference = ownReference(name);
  if (reference === null) return name;
  return reference.variant === "psg" ? reference.name : `${reference.variant}:${reference.name}`;
}
