import { printable, UserError } from "@peekaboo/files/errors";
import { TorchError } from "@peekaboo/torch";

/** The most characters of another program's message. */
const LONGEST = 500;

/** What an error of a user's own code says, on one line. */
export function messageOf(error: unknown): string {
  return printable((error instanceof Error ? error.message : String(error)).replaceAll("\n", " "), LONGEST);
}

/** Whether an error is told as it is: a sentence of ours, or too little memory. */
export function isTold(error: unknown): boolean {
  return error instanceof UserError || (error instanceof TorchError && error.kind === "memory");
}
