import type { Cell, Limit, Table } from "./bench.js";

/** A number with three digits that count, without an exponent unless it is tiny; a whole one with all of its digits. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 100 || Number.isInteger(value)) return value.toFixed(0);
  if (size < 1e-4) return value.toExponential(1);
  return value.toFixed(2 - Math.floor(Math.log10(size)));
}

/** A figure as its median, with minimum and maximum where it was repeated. */
export function cellText(cell: Cell | undefined): string {
  if (cell === null || cell === undefined) return "";
  if (typeof cell === "string") return cell;
  if (typeof cell === "number") return digits(cell);
  const { minimum, median, maximum, repetitions } = cell;
  return repetitions === 1 ? digits(median) : `${digits(median)} (${digits(minimum)}–${digits(maximum)})`;
}

/** A table in Markdown, its columns aligned. */
export function tableText({ title, notes = [], rows }: Table): string {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cells = [names, ...rows.map((row) => names.map((name) => cellText(row[name])))];
  const isText = names.map((name) => rows.every((row) => typeof row[name] === "string"));
  const widths = names.map((_, column) => Math.max(3, ...cells.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    `| ${row.map((text, i) => (isText[i] ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0))).join(" | ")} |`;
  const [head = [], ...rest] = cells;
  const rule = widths.map((width, i) => (isText[i] ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [`## ${title}`, "", ...notes, ...(notes.length > 0 ? [""] : []), ...[head, rule, ...rest].map(line)].join(
    "\n",
  );
}

/** Whether a figure is within its limit. */
export function isMet({ value, limit, bound }: Limit): boolean {
  return bound === "most" ? value <= limit : value >= limit;
}

/** The limits with what was measured. */
export function limitsTable(limits: readonly Limit[]): Table {
  const rows = limits.map((one) => ({
    what: one.what,
    value: one.value,
    limit: `${one.bound === "most" ? "≤" : "≥"} ${one.limit}`,
    met: isMet(one) ? "yes" : "no",
  }));
  return { title: "Limits", rows };
}
