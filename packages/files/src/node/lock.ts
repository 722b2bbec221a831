import { randomBytes } from "node:crypto";
import { linkSync, readFileSync, readlinkSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { parseJson, printable, quoted, UserError } from "../errors.js";
import { errorCode } from "./file-faults.js";
import { lockText, readLockFile, touchLock } from "./lock-file.js";

/** How often a live lock is touched; one of another machine that stays untouched for six beats, and two more, is dead. */
const BEAT_MS = 10_000;
const STALE_BEATS = 6;
const TIME = /^\d{4}-\d\d-\d\dT[\d:.]{5,20}Z$/;
/** Locks of dead processes that one process takes away, or sees gone when it looks: more can't be by chance. */
const MAX_ATTEMPTS = 20;

/** Who holds a lock; `place` is the machine since its start, as seen by the process, and `began` the process's start in it. */
export interface LockHolder {
  readonly pid: number;
  readonly host: string;
  readonly place: string;
  readonly began: string;
  readonly since: string;
}

/** How {@link FileLock.acquire} takes a lock. */
export interface LockOptions {
  /** What the lock is wanted for, for the messages. */
  operation: string;
  /** Called when another holds the lock, null where it doesn't say who: throws, or waits before the next attempt. */
  onHeld(holder: LockHolder | null): void | Promise<void>;
  /** Told when it takes time to find out whether another machine's process lives. */
  onWatch?: ((text: string) => void) | undefined;
  signal?: AbortSignal | undefined;
  /** How often the lock is touched, in milliseconds. */
  beatMs?: number | undefined;
}

const BEAT = new URL("./lock-beat.js", import.meta.url);

/**
 * A lock file that one live process holds. A process of this machine that is gone doesn't hold it any more; one of another
 * machine, until the file hasn't been touched for a minute.
 */
export class FileLock {
  readonly #path: string;
  readonly #text: string;
  readonly #thread: Worker;
  #timer: NodeJS.Timeout | undefined;

  private constructor(path: string, text: string, beatMs: number) {
    this.#path = path;
    this.#text = text;
    // In a thread of its own: this one computes for minutes without a pause.
    this.#thread = new Worker(BEAT, { workerData: { path, text, beatMs }, execArgv: [] });
    this.#thread.unref();
    // Where no thread is to be had, this one touches the lock between its other work.
    this.#thread.on("error", () => {
      this.#timer = setInterval(() => touchLock(path, text), beatMs).unref();
    });
  }

  /**
   * Takes the lock at `path`.
   *
   * @throws {UserError} when something else is in its place, or it can't be taken; system errors of a folder that can't be
   * written to, and what `onHeld` throws, as they come.
   */
  static async acquire(path: string, options: LockOptions): Promise<FileLock> {
    const { operation, onHeld, beatMs = BEAT_MS } = options;
    const text = JSON.stringify(thisProcess());
    for (let attempt = 0; attempt < MAX_ATTEMPTS; ) {
      if (create(path, text)) return new FileLock(path, text, beatMs);
      const found = readLockFile(operation, path);
      if (found !== undefined && (await isHeld(path, found, options))) {
        await onHeld(holderOf(found));
      } else {
        attempt++;
        if (found !== undefined) takeAway(operation, path, found);
      }
    }
    throw notTaken(operation, path, `others that came and went, ${MAX_ATTEMPTS} times`);
  }

  /**
   * Whether a live process holds the lock at `path`, as far as a look tells at once: one of another machine holds what was
   * touched in the last minute by this machine's clock. Changes nothing, so that whoever takes the lock isn't disturbed.
   */
  static isHeld(path: string): boolean {
    try {
      const touched = touchedAt(path);
      return touched !== null && (isHeldHere(lockText(path)) ?? isFresh(touched, BEAT_MS));
    } catch {
      return false;
    }
  }

  /** Gives the lock back, unless another process has taken it meanwhile. */
  release(): void {
    void this.#thread.terminate();
    clearInterval(this.#timer);
    if (lockText(this.#path) === this.#text) rmSync(this.#path, { force: true });
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** Makes the file with all its text at once; false when there is one. */
function create(path: string, text: string): boolean {
  const own = besides(path);
  try {
    writeFileSync(own, text, { flag: "wx" });
    linkOrWrite(own, path, text);
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw error;
  } finally {
    remove(own);
  }
}

const WITHOUT_LINKS: ReadonlySet<string | undefined> = new Set(["EPERM", "ENOTSUP", "ENOSYS", "EOPNOTSUPP"]);

/** Throws with the code EEXIST when there is something at `path`. */
function linkOrWrite(own: string, path: string, text: string): void {
  try {
    linkSync(own, path);
  } catch (error) {
    if (!WITHOUT_LINKS.has(errorCode(error))) throw error;
    writeFileSync(path, text, { flag: "wx" });
  }
}

function besides(path: string): string {
  return join(dirname(path), `${basename(path)}-${process.pid}-${randomBytes(6).toString("hex")}.tmp`);
}

/**
 * Removes a dead process's lock; should another process have been faster, its own comes back.
 *
 * @throws {UserError} when it can't be removed.
 */
function takeAway(operation: string, path: string, text: string | null): void {
  const away = besides(path);
  try {
    renameSync(path, away);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return;
    throw notTaken(operation, path, `a dead process's that can't be removed (${errorCode(error) ?? error})`, error);
  }
  try {
    if (lockText(away) !== text) linkSync(away, path);
  } catch {
    // Another process holds it: the next attempt tells.
  }
  remove(away);
}

function remove(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // What couldn't be made can't be removed either.
  }
}

function notTaken(operation: string, path: string, received: string, cause?: unknown): UserError {
  return new UserError({
    operation,
    argument: quoted(path),
    expected: "a lock that can be taken",
    received,
    remedy: "if no other process uses the folder, remove what is there",
    cause,
  });
}

async function isHeld(
  path: string,
  text: string | null,
  { onWatch, signal, beatMs = BEAT_MS }: LockOptions,
): Promise<boolean> {
  const here = isHeldHere(text);
  if (here !== null) return here;
  const touched = touchedAt(path);
  if (touched === null) return false;
  if (isFresh(touched, beatMs)) return true;
  // The machines' clocks may differ: what counts is whether it is touched now.
  const holder = holderOf(text);
  const whose = holder === null ? "unreadable" : `of ${printable(holder.host)}`;
  onWatch?.(`${printable(path)} is ${whose}: watching whether it is in use.`);
  await sleep(2.5 * beatMs, undefined, signal === undefined ? {} : { signal }).catch(() => signal?.throwIfAborted());
  return touchedAt(path) !== touched;
}

/** Whether the process that a lock names is there; null where it is none of this machine's. */
function isHeldHere(text: string | null): boolean | null {
  const holder = holderOf(text);
  if (holder?.place !== thisProcess().place) return null;
  const began = startOf(holder.pid);
  // Of a process that is there but tells nothing, as another user's may not, its number has to do.
  return began === holder.began || began === "";
}

function isFresh(touched: number, beatMs: number): boolean {
  return Date.now() - touched < STALE_BEATS * beatMs;
}

let self: LockHolder | undefined;

function thisProcess(): LockHolder {
  self ??= {
    pid: process.pid,
    host: hostname(),
    place: place(),
    began: startOf(process.pid) ?? "",
    since: new Date(Date.now() - process.uptime() * 1000).toISOString(),
  };
  return self;
}

/** What process numbers refer to: the machine, its start and, in a container, the namespace. */
function place(): string {
  const boot = readIfThere("/proc/sys/kernel/random/boot_id")?.trim() ?? "";
  return [hostname(), boot, namespaceOfNumbers()].join("/");
}

function namespaceOfNumbers(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "";
  }
}

/** When a process began, in ticks since the machine's start; empty where /proc doesn't tell, and null when there is none. */
function startOf(pid: number): string | null {
  const status = readIfThere(`/proc/${pid}/stat`);
  if (status === null) return isThere(pid) ? "" : null;
  // The name, in brackets, may hold anything.
  const fields = status.slice(status.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? null : (fields[19] ?? "");
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === "EPERM";
  }
}

/** What a lock says of its holder; null where it doesn't. */
function holderOf(text: string | null): LockHolder | null {
  try {
    const holder = parseJson(text ?? "", (received) => new Error(received)) as LockHolder;
    const { pid, host, place, began, since } = holder;
    const areShort = [host, place, began].every((field) => typeof field === "string" && field.length <= 300);
    return areShort && Number.isSafeInteger(pid) && pid > 0 && TIME.test(since) ? holder : null;
  } catch {
    return null;
  }
}

/** A file of the system's own, which has no size. */
function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

function touchedAt(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? null;
}
