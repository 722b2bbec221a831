import { UserError } from "@peekaboo/torch/errors";
import { nearest } from "../nearest.js";
import type { Architecture } from "./architecture.js";
import { cifarResNets } from "./cifar-resnet.js";

/** Every architecture, one line a family. */
const architectures: readonly Architecture[] = [...cifarResNets];

/** How the same network computes its gradients. */
export type Variant = "plain" | "psg";

interface NamedNetwork {
  architecture: Architecture;
  variant: Variant;
}

const networks = new Map<string, NamedNetwork>([
  ...architectures.map((architecture) => [architecture.name, { architecture, variant: "plain" }] as const),
  ...architectures.map((architecture) => [`Psg${architecture.name}`, { architecture, variant: "psg" }] as const),
]);

/** Every architecture that can be built: the plain networks and, with prefix `Psg`, the same with PSG convolutions. */
export const architectureNames: readonly string[] = [...networks.keys()];

/** The network called `name`. Throws UserError with the nearest name when there is none. */
export function findNetwork(name: string): NamedNetwork {
  const found = networks.get(name);
  if (found !== undefined) return found;
  const near = nearest(name, architectureNames);
  throw new UserError({
    operation: "choose the network",
    argument: "--arch",
    expected: "a known architecture",
    received: JSON.stringify(name),
    remedy: near === undefined ? `there are ${architectureNames.join(", ")}` : `did you mean ${near}?`,
  });
}
