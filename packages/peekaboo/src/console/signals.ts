import { readFileSync, readlinkSync } from "node:fs";
import { constants } from "node:os";
import { basename } from "node:path";

/** The signals by which a lost terminal, a user or a system ends a process that may save first. */
const USER_SIGNALS = ["SIGHUP", "SIGINT", "SIGTERM"] as const;

export type UserSignal = (typeof USER_SIGNALS)[number];

/** The exit status of a process that a signal ends: 128 and its number. */
export function statusOf(signal: UserSignal): number {
  return 128 + constants.signals[signal];
}

/** Whose status that is; undefined for every other. */
export function signalOf(status: number | null): UserSignal | undefined {
  return USER_SIGNALS.find((signal) => statusOf(signal) === status);
}

/** A launcher and a terminal may both pass on one signal: within this time it is taken for the same. */
export const DOUBLE_MS = 250;

/**
 * Whether a signal that comes so long after another asks to end at once. SIGHUP comes from the system and not from someone
 * who is in a hurry, more than once when a terminal goes; and Ctrl-C reaches what npx started twice.
 */
export function isUrgent(signal: UserSignal, milliseconds: number): boolean {
  return signal === "SIGTERM" || (signal === "SIGINT" && milliseconds > DOUBLE_MS);
}

/** Calls `handler` for each of these signals, which end the process no more, until disposed of; not for a SIGHUP that it ignores. */
export function onUserSignals(
  handler: (signal: UserSignal) => void,
): Disposable & { keepOnly(...kept: UserSignal[]): void } {
  const handlers = USER_SIGNALS.filter((signal) => signal !== "SIGHUP" || !HANGUP_IGNORED).map((signal) => {
    const own = () => handler(signal);
    process.on(signal, own);
    return { signal, own };
  });
  const keepOnly = (...kept: UserSignal[]) => {
    for (const { signal, own } of handlers) if (!kept.includes(signal)) process.off(signal, own);
  };
  return { keepOnly, [Symbol.dispose]: () => keepOnly() };
}

/** Ignores SIGHUP from now on if this process was started so. */
export function ignoreHangupAsBefore(): void {
  if (HANGUP_IGNORED) process.on("SIGHUP", () => {});
}

/**
 * Whether the process of this environment, parent and folder in /proc was started so that it outlives its terminal, as by
 * nohup.
 *
 * Node gives every signal its default action before a line of ours runs, so the process itself doesn't tell any more. But
 * a parent that ignores SIGHUP passes that on; shells note the command that they start in `_`; and GNU nohup puts
 * /dev/null, open for writing alone, in the place of a terminal's input.
 */
export function ignoresHangup(env: Readonly<NodeJS.ProcessEnv>, parent: number, own = "/proc/self"): boolean {
  const [, ignored = "0"] = /^SigIgn:\s*([0-9a-f]+)$/m.exec(readIfThere(`/proc/${parent}/status`)) ?? [];
  if ((BigInt(`0x${ignored}`) & SIGHUP_BIT) !== 0n || basename(env._ ?? "") === "nohup") return true;
  const [, flags = "0"] = /^flags:\s*([0-7]+)$/m.exec(readIfThere(`${own}/fdinfo/0`)) ?? [];
  return (Number.parseInt(flags, 8) & ACCESS_MODE) === WRITE_ONLY && linkOf(`${own}/fd/0`) === "/dev/null";
}

const SIGHUP_BIT = 1n;
const ACCESS_MODE = 3;
const WRITE_ONLY = 1;

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function linkOf(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}

/** Asked at once: the parent may be gone later. */
const HANGUP_IGNORED = ignoresHangup(process.env, process.ppid);
