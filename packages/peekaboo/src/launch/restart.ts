import { statSync } from "node:fs";

/** Tells one state of a file from another; null where there is none, or it is out of reach. */
export function stampOf(path: string): string | null {
  try {
    const { ino, size, mtimeNs } = statSync(path, { bigint: true });
    return `${ino}/${size}/${mtimeNs}`;
  } catch {
    return null;
  }
}

/** A command line with --resume auto, which beats what it says itself. */
export function resuming(argv: readonly string[]): string[] {
  const end = argv.indexOf("--");
  return end < 0 ? [...argv, "--resume", "auto"] : argv.toSpliced(end, 0, "--resume", "auto");
}
