import type { RunSummary } from "../board/protocol.js";
import { formatCount, formatDuration } from "../console/format.js";
import { figureText, percentText, shareText } from "./words.js";

/** Settings that get a column each; the others stand where runs are compared. */
const MOST_SETTINGS = 8;

/** A column of the table of runs. */
export interface Column {
  readonly title: string;
  readonly numeric: boolean;
  text(run: RunSummary): string;
  /** What it is sorted by; null comes last. */
  value(run: RunSummary): number | string | null;
}

const FIXED: readonly Column[] = [
  { title: "State", numeric: false, text: stateText, value: ({ state }) => state },
  { title: "Step", numeric: true, text: stepText, value: ({ step }) => step },
  { title: "Time left", numeric: true, text: timeText, value: ({ secondsLeft }) => secondsLeft },
  figure("Loss", ({ latest }) => latest?.loss),
  figure("Test, best", ({ best }) => best?.accuracy, percentText),
  figure("Test, last", ({ test }) => test?.accuracy, percentText),
  {
    title: "Kept",
    numeric: true,
    text: ({ kept, total }) => shareText(kept, total),
    value: ({ kept, total }) => (kept === null || total === null ? null : kept / total),
  },
  figure("Flips a step", ({ latest }) => latest?.flips),
  figure("γ", ({ latest }) => latest?.ar),
  figure("lr", ({ latest }) => latest?.lr),
  figure("Images/s", ({ latest }) => latest?.imagesPerSecond),
];

/** The columns behind the name: figures, and settings that are not the same in all runs. */
export function columnsOf(runs: readonly RunSummary[]): Column[] {
  const paths = new Set(runs.flatMap(({ settings }) => Object.keys(settings)));
  return [...FIXED, ...[...paths].slice(0, MOST_SETTINGS).map(settingColumn)];
}

/** Which of two runs comes first by a column, upwards. */
export function compareBy({ value }: Pick<Column, "value">, one: RunSummary, other: RunSummary): number {
  const [a, b] = [value(one), value(other)];
  return typeof a === "number" && typeof b === "number" ? a - b : compareTexts(String(a), String(b));
}

/** As people sort: numbers within texts by size, decimals too. */
function compareTexts(one: string, other: string): number {
  const [parts, others] = [one, other].map((text) => text.split(/(\d+(?:\.\d+)?)/)) as [string[], string[]];
  const at = parts.findIndex((part, i) => part !== others[i]);
  const [a = "", b = ""] = [parts[at], others[at]];
  // Every other part is a number.
  return at % 2 === 1 && b !== "" ? Number(a) - Number(b) || a.localeCompare(b, "en") : a.localeCompare(b, "en");
}

/** Whether a run has all the words in its name, its state or its settings. */
export function fits({ name, state, settings }: RunSummary, filter: string): boolean {
  const told = Object.entries(settings).map(([path, value]) => `${path}=${bare(value)}`);
  const text = [name, state, ...told].join(" ").toLowerCase();
  return filter
    .toLowerCase()
    .split(/\s+/)
    .every((word) => text.includes(word));
}

/** JSON without the quotation marks of a single text. */
export function bare(json: string): string {
  return json.replace(/^"(.*)"$/, "$1");
}

function figure(
  title: string,
  value: (run: RunSummary) => number | undefined,
  text: (value: number | undefined) => string = figureText,
): Column {
  return { title, numeric: true, text: (run) => text(value(run)), value: (run) => value(run) ?? null };
}

function settingColumn(path: string): Column {
  const text = ({ settings }: RunSummary) => bare(settings[path] ?? "–");
  const value = (run: RunSummary) => {
    const found = text(run);
    return found !== "" && Number.isFinite(Number(found)) ? Number(found) : found;
  };
  return { title: path, numeric: false, text, value };
}

function stateText({ state, read, warnings }: RunSummary): string {
  const told = read < 0.999 ? `${state}, ${Math.floor(100 * read)} % read` : state;
  return warnings.length === 0 ? told : `${told} ⚠`;
}

function stepText({ step, totalSteps }: RunSummary): string {
  return totalSteps === null || totalSteps === step
    ? formatCount(step)
    : `${formatCount(step)} of ${formatCount(totalSteps)}`;
}

function timeText({ secondsLeft }: RunSummary): string {
  return secondsLeft === null ? "–" : formatDuration(secondsLeft);
}
