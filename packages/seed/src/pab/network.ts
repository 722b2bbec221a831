import type { GraphTensor } from "../graph/graph.js";
import type { PartSizes } from "./container.js";
import type { Description } from "./description.js";

/** A tensor of a network: its values as they take effect, zeros where its mask cuts. */
export interface PabTensor extends GraphTensor {
  /** Row-major, 1 where a value is kept; null where all are. */
  readonly mask: Uint8Array | null;
}

/** What a .pab file holds. */
export interface PabNetwork {
  readonly description: Description;
  /** By name, in the description's order. */
  readonly tensors: ReadonlyMap<string, PabTensor>;
  readonly sizes: PartSizes;
}
