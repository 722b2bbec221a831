/** How much of each layer stays at least: a fraction of its weights, or so many of them. */
export type MinKept = { readonly fraction: number } | { readonly weights: number };

/** The minimum as it is written on a command line. */
export function minKeptInWords(least: MinKept): string {
  return "weights" in least ? `${least.weights}` : `${Number((100 * least.fraction).toPrecision(12))}%`;
}

/** How many weights of a layer of `size` stay at least; a fraction's are rounded up. */
export function leastOf(least: MinKept, size: number): number {
  if ("weights" in least) return Math.min(least.weights, size);
  const exact = least.fraction * size;
  const near = Math.round(exact);
  // 0.07 of 100 is 7, whatever the product's last bits are.
  return Math.max(1, Math.abs(exact - near) < 1e-9 * size ? near : Math.ceil(exact));
}

/**
 * Budgets that add up as those given, each at least its minimum: what the raised ones take, the others give in proportion
 * to what they have beyond theirs, what rounding leaves to the largest fractions. The minima must fit together.
 */
export function raised(budgets: readonly number[], minima: readonly number[]): number[] {
  const beyond = budgets.map((budget, i) => budget - (minima[i] ?? 0));
  const lacking = beyond.reduce((sum, value) => sum + Math.max(0, -value), 0);
  if (lacking === 0) return [...budgets];
  const surplus = beyond.reduce((sum, value) => sum + Math.max(0, value), 0);
  const gives = beyond.map((value) => (Math.max(0, value) * lacking) / surplus);
  const given = gives.map(Math.floor);
  let left = lacking - given.reduce((sum, value) => sum + value, 0);
  const fraction = (i: number) => (gives[i] ?? 0) - (given[i] ?? 0);
  for (const i of given.map((_, i) => i).sort((a, b) => fraction(b) - fraction(a) || a - b)) {
    if (left === 0) break;
    if ((given[i] ?? 0) >= (beyond[i] ?? 0)) continue;
    given[i] = (given[i] ?? 0) + 1;
    left--;
  }
  return budgets.map((budget, i) => Math.max(budget, minima[i] ?? 0) - (given[i] ?? 0));
}
