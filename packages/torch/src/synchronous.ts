import { UserError } from "@peekaboo/files/errors";

/** @throws {UserError} when a body that had to be synchronous returned a promise: most of it would run too late. */
export function refusePromise(operation: string, result: unknown): void {
  if (typeof (result as { then?: unknown } | null | undefined)?.then !== "function") return;
  throw new UserError({
    operation,
    argument: "the body",
    expected: "a synchronous function",
    received: "one that returns a promise",
    remedy: "await outside it",
  });
}
