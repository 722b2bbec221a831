import { PutAway } from "../thread.js";
import { byId } from "./dom.js";

const box = byId("problem", HTMLDivElement);
const text = byId("problem-text", HTMLParagraphElement);
byId("problem-close", HTMLButtonElement).addEventListener("click", clearProblem);

/** Says what went wrong, in a sentence. */
export function tell(sentence: string): void {
  box.hidden = false;
  text.textContent = sentence;
}

export function clearProblem(): void {
  box.hidden = true;
  text.textContent = "";
}

/** What an error tells, as a sentence. */
export function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return /[.?!]$/.test(message) ? message : `${message}.`;
}

/** Runs what a control started; what goes wrong is said, unless it was for a network that has been put away meanwhile. */
export function guarded(what: string, action: () => Promise<void>): void {
  action().catch((error: unknown) => {
    if (!(error instanceof PutAway)) tell(`${what}: ${messageOf(error)}`);
  });
}
