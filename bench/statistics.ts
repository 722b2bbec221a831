/** The middle value. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

/** The values that a quarter lies below, and a quarter above. */
export function quartiles(values: readonly number[]): [number, number] {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN;
  return [at(0.25), at(0.75)];
}

/** The seconds that `body` takes. */
export function seconds(body: () => unknown): number {
  const begun = performance.now();
  body();
  return (performance.now() - begun) / 1000;
}

/** The largest resident set of this process so far, in GB. */
export function peakMemory(): number {
  return process.resourceUsage().maxRSS / 1e6;
}
