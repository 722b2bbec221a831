import { quoted, UserError } from "@peekaboo/files/errors";
import { nearest } from "../nearest.js";
import { setting } from "../setting.js";
import type { Architecture, Variant } from "./architecture.js";
import * as families from "./families.js";

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

/** The network called `name`. @throws {UserError} with the nearest name when there is none. */
export function findNetwork(name: string): NamedNetwork {
  const found = networks.get(name);
  if (found !== undefined) return found;
  const near = nearest(name, architectureNames);
  throw new UserError({
    operation: "choose the network",
    argument: setting("arch"),
    expected: "a known architecture",
    received: quoted(name),
    remedy: near === undefined ? "`peekaboo models` lists them" : `did you mean ${near}?`,
  });
}
