import { statSync } from "node:fs";

/** Tells one state of a file from another; null where there is none. */
export function stampOf(path: string): string | null {
  const status = statSync(path, { bigint: true, throwIfNoEntry: false });
  return status === undefined ? null : `${status.ino}/${status.size}/${status.mtimeNs}`;
}

/** A command line with --resume auto, which beats what it says itself. */
export function resuming(argv: readonly string[]): string[] {
  const end = argv.indexOf("--");
  return end < 0 ? [...argv, "--resume", "auto"] : argv.toSpliced(end, 0, "--resume", "auto");
}
