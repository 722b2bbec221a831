export type PruneSchedule = "exponential" | "linear";

/**
 * The density to prune to in round `i` (from 0) of `rounds`, ending at `density` (docs/algorithm.md §2):
 * d^((i+1)/n) or 1-(1-d)(i+1)/n.
 */
export function densityOfRound(schedule: PruneSchedule, density: number, i: number, rounds: number): number {
  const progress = (i + 1) / rounds;
  return schedule === "exponential" ? density ** progress : 1 - (1 - density) * progress;
}

/** One pruning of the network: before which epoch, and to which density. */
export interface Shot {
  epoch: number;
  density: number;
}

/**
 * When a run prunes: shot s fires before epoch (s+1)·floor(E/S), at density 1-(1-d)(s+1)/S; epoch 0 means one shot
 * before training.
 */
export function shotsOf({ epoch, shots, density }: { epoch: number; shots: number; density: number }): Shot[] {
  const every = Math.floor(epoch / shots);
  return Array.from({ length: shots }, (_, s) => ({
    epoch: (s + 1) * every,
    // The last one's is `density` itself, not 1-(1-d) with its rounding.
    density: s + 1 === shots ? density : 1 - ((1 - density) * (s + 1)) / shots,
  }));
}
