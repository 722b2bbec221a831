import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("../../bin/peekaboo.js", import.meta.url));

/** The program and arguments of a process that runs this command line, without node and script, as this process was started. */
export function peekabooCommand(args: readonly string[]): string[] {
  return [process.execPath, ...process.execArgv, PROGRAM, ...args];
}
