import { quoted, UserError } from "@peekaboo/files/errors";
import { nearest } from "../nearest.js";
import { setting } from "../setting.js";
import type { Architecture, Variant } from "./architecture.js";
import * as families from "./families.js";
import { ownReference } from "./own-reference.js";

/** Every architecture, family by family. */
export const architectures: readonly Architecture[] = Object.values(families).flat();

/** An architecture in one of its variants. */
export interface NamedNetwork {
  architecture: Architecture;
  variant: Variant;
}

const networks = new Map<string, NamedNetwork>(architectures.flatMap(variantsOf));

function variantsOf(architecture: Architecture): [string, NamedNetwork][] {
  const { name, variants } = architecture;
  const list: Variant[] = ["plain", "psg", "seed", "psg-seed"];
  return list.flatMap((variant): [string, NamedNetwork][] => {
    const prefix = variants[variant];
    return prefix === undefined ? [] : [[`${prefix}${name}`, { architecture, variant }]];
  });
}

/** Every network that can be built: the plain ones, and their variants by prefix. */
export const architectureNames: readonly string[] = [...networks.keys()];

/** That variant of a description that is called `name`. @throws {UserError} when it has none. */
export function variantCalled(name: string, architecture: Architecture): NamedNetwork {
  const variants = new Map(variantsOf(architecture));
  const found = variants.get(name);
  if (found !== undefined) return found;
  throw new UserError({
    operation: `build ${architecture.name}`,
    argument: "the variant",
    expected: `one of ${[...variants.keys()].join(", ")}`,
    received: quoted(name),
  });
}

/** Networks of the user's own that were loaded, the last one last. */
const own = new Map<string, Architecture>();

/** Makes a network of the user's own known by the name of its file. */
export function registerOwn(name: string, architecture: Architecture): void {
  own.delete(name);
  own.set(name, architecture);
}

/** How the network called `name` learns; of one of the user's own that needn't be loaded. @throws {UserError} as findNetwork does. */
export function variantOf(name: string): Variant {
  return ownReference(name)?.variant ?? findNetwork(name).variant;
}

/**
 * The network called `name`; for a file of the user's own the one that was loaded by that name, or whichever was loaded last: it may
 * have moved since.
 * @throws {UserError} with the nearest name when there is none, and for a file that wasn't loaded: only the user may say that it is to run.
 */
export function findNetwork(name: string): NamedNetwork {
  const found = networks.get(name);
  if (found !== undefined) return found;
  const reference = ownReference(name);
  if (reference !== null) {
    const architecture = own.get(reference.name) ?? [...own.values()].at(-1);
    if (architecture !== undefined) return { architecture, variant: reference.variant };
    throw notLoaded(reference.name);
  }
  const near = nearest(name, architectureNames);
  throw new UserError({
    operation: "choose the network",
    argument: setting("arch"),
    expected: "a known architecture",
    received: quoted(name),
    remedy: near === undefined ? "`peekaboo models` lists them" : `did you mean ${near}?`,
  });
}

function notLoaded(name: string): UserError {
  return new UserError({
    operation: "build the network",
    argument: setting("arch"),
    expected: "the file that describes it",
    received: "none",
    remedy: `it is a network of one's own: give ${setting("arch")} with the path of ${quoted(name)}, whose code then runs`,
  });
}
