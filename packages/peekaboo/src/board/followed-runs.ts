import { findRuns } from "./find-runs.js";
import { FollowedRun } from "./followed-run.js";
import type { RunsEvent } from "./protocol.js";
import { variedPaths } from "./settings.js";

/** How often the files are looked at. */
const LOOK_MS = 500;
/** After how many such times the folders are, too. */
const LOOKS_A_SEARCH = 4;

/** All runs below a folder, followed until they are closed. */
export class FollowedRuns {
  readonly #folder: string;
  readonly #onChange: (event: RunsEvent) => void;
  readonly #runs = new Map<number, FollowedRun>();
  /** Numbers once given: a run that comes back has its own again. */
  readonly #numbers = new Map<string, number>();
  readonly #changed = new Set<number>();
  readonly #gone = new Set<number>();
  readonly #timer: NodeJS.Timeout;
  #varied: readonly string[] = [];
  #looks = 0;
  #reading: NodeJS.Immediate | undefined;

  /** @param onChange told of what is new, twice a second at most */
  constructor(folder: string, onChange: (event: RunsEvent) => void) {
    this.#folder = folder;
    this.#onChange = onChange;
    this.#reading = setImmediate(() => this.#look());
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  /** All there is to tell now. */
  all(): RunsEvent {
    return { folder: this.#folder, all: true, runs: this.#summaries(this.#runs.keys()), gone: [] };
  }

  get(id: number): FollowedRun | undefined {
    return this.#runs.get(id);
  }

  /** @param name as the page was told it: it is compared, and never a path */
  named(name: string): FollowedRun | undefined {
    return [...this.#runs.values()].find((run) => run.name === name);
  }

  /** Reads these runs before the others from now on. */
  want(runs: readonly FollowedRun[]): void {
    for (const run of runs) run.wanted = Date.now();
  }

  close(): void {
    clearInterval(this.#timer);
    clearImmediate(this.#reading);
  }

  #look(): void {
    if (this.#looks++ % LOOKS_A_SEARCH === 0) this.#search();
    for (const run of this.#runs.values()) {
      const seen = run.look();
      if (seen === "gone") this.#remove(run.id);
      else if (seen === "changed") this.#changed.add(run.id);
    }
    this.#tell();
    this.#readOn();
  }

  /** Finds runs that are new, and looks at what else lies in a run's folder. */
  #search(): void {
    const found = findRuns(this.#folder);
    for (const { name, path } of found) {
      const id = this.#numbers.get(path) ?? this.#numbers.size + 1;
      this.#numbers.set(path, id);
      if (!this.#runs.has(id)) this.#runs.set(id, new FollowedRun(id, name, path));
      this.#gone.delete(id);
    }
    const changed = [...this.#runs.values()].filter((run) => run.lookAround());
    for (const { id } of changed) this.#changed.add(id);
    if (changed.length > 0) this.#compareSettings();
  }

  #compareSettings(): void {
    const varied = variedPaths([...this.#runs.values()].map(({ settings }) => settings));
    if (varied.join() === this.#varied.join()) return;
    this.#varied = varied;
    for (const id of this.#runs.keys()) this.#changed.add(id);
  }

  #remove(id: number): void {
    this.#runs.delete(id);
    this.#changed.delete(id);
    this.#gone.add(id);
    this.#compareSettings();
  }

  #tell(): void {
    if (this.#changed.size === 0 && this.#gone.size === 0) return;
    const runs = this.#summaries(this.#changed);
    this.#onChange({ folder: this.#folder, all: false, runs, gone: [...this.#gone] });
    this.#changed.clear();
    this.#gone.clear();
  }

  /** Reads a little of the run that is most wanted and behind, and lets requests in before the next. */
  #readOn(): void {
    clearImmediate(this.#reading);
    const behind = [...this.#runs.values()].filter(({ file }) => file.isBehind);
    if (behind.length === 0) return;
    const next = behind.reduce((first, run) => (comesBefore(run, first) ? run : first));
    next.read();
    this.#changed.add(next.id);
    this.#reading = setImmediate(() => this.#readOn());
  }

  #summaries(ids: Iterable<number>): RunsEvent["runs"] {
    return [...ids].flatMap((id) => this.#runs.get(id)?.summary(this.#varied) ?? []);
  }
}

function comesBefore(one: FollowedRun, other: FollowedRun): boolean {
  return one.wanted === other.wanted ? one.file.changed > other.file.changed : one.wanted > other.wanted;
}
