import { parseJson } from "@peekaboo/files/errors";
import { type Metrics, metricsOf } from "../runs/metrics.js";
import type { Lines } from "./followed-file.js";
import { StepScanner } from "./scanned-step.js";

/** A line of metrics, and where in the file it begins; null for a line that is none. */
export interface PlacedLine {
  readonly metrics: Metrics | null;
  readonly place: number;
}

const NEWLINE = 0x0a;

/** Each of the lines. */
export function* parsedLines({ bytes, place }: Lines): Generator<PlacedLine> {
  const scanner = new StepScanner(bytes);
  for (let begin = 0; begin < bytes.length; ) {
    const step = scanner.scan(begin);
    const newline = step === null ? bytes.indexOf(NEWLINE, begin) : scanner.at - 1;
    const end = newline < 0 ? bytes.length : newline;
    yield { metrics: step ?? metricsIn(bytes.toString("utf8", begin, end)), place: place + begin };
    begin = end + 1;
  }
}

function metricsIn(text: string): Metrics | null {
  try {
    return metricsOf(parseJson(text, (received) => new Error(received)));
  } catch {
    return null;
  }
}
