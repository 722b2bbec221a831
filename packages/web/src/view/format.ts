const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** 33591 → "33.6 kB". */
export function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  return count < 1e6 ? `${(count / 1000).toFixed(1)} kB` : `${(count / 1e6).toFixed(2)} MB`;
}

/** 0.631 → "63.1 %". */
export function percent(fraction: number, digits = 1): string {
  return `${(100 * fraction).toFixed(digits)} %`;
}

/** 209333 → "209,333". */
export function whole(count: number): string {
  return WHOLE.format(count);
}

/** The same as a length of CSS. */
export function share(fraction: number): string {
  return `${(100 * fraction).toFixed(2)}%`;
}

export function milliseconds(time: number): string {
  return `${time < 10 ? time.toFixed(1) : time.toFixed(0)} ms`;
}
