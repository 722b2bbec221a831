import { printable, quoted } from "@peekaboo/files/errors";
import type { z } from "zod";

/** The first thing that a schema finds wrong, with its place, in words that are safe to print. */
export function issueInWords({ issues }: z.ZodError): string {
  const [issue] = issues;
  if (issue === undefined) return "unknown";
  const place = issue.path.length === 0 ? "" : `${quoted(issue.path.join("."))}: `;
  return `${place}${printable(issue.message)}`;
}
