/** How long a thread works before it hears what else is asked, in milliseconds. */
const TURN = 25;

/** Calls `step` for 0 to `count` − 1, tells the fraction that is done, and lets other messages in between. */
export async function paced(count: number, step: (i: number) => void, onProgress: (fraction: number) => void) {
  let turn = performance.now();
  for (let i = 0; i < count; i++) {
    step(i);
    if (performance.now() - turn < TURN) continue;
    onProgress((i + 1) / count);
    await pause();
    turn = performance.now();
  }
}

export function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

/** The middle one of some numbers, 0 of none. */
export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
