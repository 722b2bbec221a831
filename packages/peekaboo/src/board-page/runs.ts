import { MOST_COMPARED, type RunSummary, type RunsEvent } from "../board/protocol.js";

/** How many runs are shown before somebody chooses. */
const FIRST_SHOWN = 3;

/** The runs that the page knows, and those of them that are shown, by name: a server that was started again numbers them anew. */
export class Runs {
  readonly #runs = new Map<string, RunSummary>();
  #chosen: string[] | null;

  constructor() {
    const named = new URLSearchParams(location.hash.slice(1)).getAll("run");
    this.#chosen = named.length === 0 ? null : named.slice(0, MOST_COMPARED);
  }

  get all(): RunSummary[] {
    return [...this.#runs.values()];
  }

  /** Those that are shown, in the order in which they were chosen. */
  get shown(): RunSummary[] {
    return (this.#chosen ?? []).flatMap((name) => this.#runs.get(name) ?? []);
  }

  take({ all, runs, gone }: RunsEvent): void {
    if (all) this.#runs.clear();
    for (const { id, name } of this.all) if (gone.includes(id)) this.#runs.delete(name);
    for (const run of runs) this.#runs.set(run.name, run);
    if (this.#chosen === null && this.#runs.size > 0) this.#chosen = this.#first();
  }

  isShown(name: string): boolean {
    return this.#chosen?.includes(name) ?? false;
  }

  /** Shows a run or hides it; false where there is no room for one more. */
  show(name: string, shown: boolean): boolean {
    const others = this.shown.map((run) => run.name).filter((other) => other !== name);
    if (shown && others.length >= MOST_COMPARED) return false;
    this.#chosen = shown ? [...others, name] : others;
    const hash = new URLSearchParams(this.#chosen.map((run) => ["run", run]));
    history.replaceState(null, "", `#${hash}`);
    return true;
  }

  /** The runs that go on, or else the latest. */
  #first(): string[] {
    const rank = ({ state, changed }: RunSummary) => (state === "running" ? Number.MAX_SAFE_INTEGER : 0) + changed;
    const latest = this.all.sort((a, b) => rank(b) - rank(a));
    return latest.slice(0, FIRST_SHOWN).map(({ name }) => name);
  }
}
