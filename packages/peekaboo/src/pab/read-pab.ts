import { readWhole, withFile } from "@peekaboo/files";
import { printable, quoted, UserError } from "@peekaboo/files/errors";
import { isPab } from "@peekaboo/seed";

/** More than any network's: ResNet-152 takes two megabytes. */
const MAX_BYTES = 2 ** 30;
const MAGIC_BYTES = 8;

/** Whether a file begins as a .pab file does. @throws {UserError} when it can't be read. */
export function isPabFile(operation: string, path: string): boolean {
  return withFile(operation, path, ({ size, read }) => size >= MAGIC_BYTES && isPab(read(0, MAGIC_BYTES)));
}

/**
 * What `read` makes of a .pab file's bytes.
 * @throws {UserError} as `read` does, naming the file.
 */
export function readPab<T>(operation: string, path: string, read: (bytes: Uint8Array) => T): T {
  const bytes = readWhole(operation, path, MAX_BYTES);
  try {
    return read(bytes);
  } catch (error) {
    throw naming(operation, path, error);
  }
}

/** The same for a reader that lets others take turns. */
export async function loadPab<T>(operation: string, path: string, read: (bytes: Uint8Array) => Promise<T>): Promise<T> {
  const bytes = readWhole(operation, path, MAX_BYTES);
  return read(bytes).catch((error: unknown) => {
    throw naming(operation, path, error);
  });
}

function naming(operation: string, path: string, error: unknown): unknown {
  if (!(error instanceof UserError)) return error;
  const { argument, expected, received, cause } = error;
  const place = `${printable(argument)} of ${quoted(path)}`;
  return new UserError({
    operation,
    argument: place,
    expected,
    received,
    remedy: "give an undamaged .pab file",
    cause,
  });
}
