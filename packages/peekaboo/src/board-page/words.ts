import { formatCount, formatPercent, formatShortCount } from "../console/format.js";

/** A share in percent; a dash where it isn't known. */
export function shareText(part: number | null, whole: number | null): string {
  return part === null || whole === null || whole === 0 ? "–" : `${formatPercent(part / whole)} %`;
}

/** A number of any size in few characters; a dash where there is none. */
export function figureText(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 0.001) return String(Number(value.toPrecision(2)));
  if (size >= 10_000) return formatShortCount(value);
  return size >= 1000 ? formatCount(value) : String(Number(value.toPrecision(3)));
}

/** The steps under an axis, each as it is: in thousands where all are such, and nothing between two steps. */
export function stepTexts(steps: readonly number[]): string[] {
  const inThousands = steps.every((step) => step % 1000 === 0);
  return steps.map((step) => {
    if (!Number.isInteger(step)) return "";
    return inThousands && step !== 0 ? `${formatCount(step / 1000)}k` : formatCount(step);
  });
}

/** Percent, of which two digits count. */
export function percentText(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : `${value.toFixed(2)} %`;
}
