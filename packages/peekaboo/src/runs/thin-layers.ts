import { formatCount, formatPercent } from "../console/format.js";
import { type MinKept, minKeptInWords } from "../pruning/min-kept.js";
import { setting } from "../setting.js";

/** Below this share of its weights a layer hardly lets a signal pass. */
const THIN = 0.01;
/** How many layers are named. */
const NAMED = 5;

interface Layer {
  readonly name: string;
  readonly kept: number;
  readonly total: number;
}

/**
 * Words on the layers of which less than 1 % is left, the thinnest first, and the remedy; null where there are none.
 *
 * @param minKept what pruning kept of each at least
 */
export function thinLayersInWords(layers: readonly Layer[], minKept: MinKept | null): string | null {
  const share = ({ kept, total }: Layer) => kept / total;
  const thin = layers.filter((layer) => share(layer) < THIN).sort((a, b) => share(a) - share(b));
  if (thin.length === 0) return null;
  const named = thin.slice(0, NAMED).map((layer) => {
    const { name, kept, total } = layer;
    return `${name} ${formatCount(kept)} of ${formatCount(total)} (${formatPercent(share(layer))} %)`;
  });
  const more = thin.length > NAMED ? ` and ${thin.length - NAMED} more layers` : "";
  const remedy =
    minKept === null
      ? `${setting("pruning.minKept")} keeps more, e.g. ${setting("pruning.minKept")} 1%`
      : `raise ${setting("pruning.minKept")} (${minKeptInWords(minKept)} now)`;
  return `less than 1 % is kept of ${named.join(", ")}${more}; ${remedy}`;
}
