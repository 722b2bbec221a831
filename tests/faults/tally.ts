/** What became of the faults of one category. */
export class Tally {
  readonly category: string;
  tried = 0;
  /** What was lost, each with what is needed to see it again. */
  readonly lost: string[] = [];
  /** What the figures cover, in words. */
  note = "";
  /** Why this category was not tried on this machine. */
  skipped = "";

  constructor(category: string) {
    this.category = category;
  }

  /** Counts one fault; `failure` says what was lost, undefined that nothing was. */
  count(failure?: string): void {
    this.tried++;
    if (failure !== undefined) this.lost.push(failure);
  }

  /** The line of the closing table. */
  toString(): string {
    if (this.skipped !== "") return `${this.category.padEnd(26)} skipped: ${this.skipped}`;
    const survived = this.tried - this.lost.length;
    const note = this.note === "" ? "" : `  (${this.note})`;
    return `${this.category.padEnd(26)} ${this.tried} tried, ${survived} survived, ${this.lost.length} lost${note}`;
  }
}

/** The settings of a fault run. */
export interface Faults {
  readonly seed: number;
  readonly quick: boolean;
  /** A folder of this run alone, for its files. */
  readonly folder: string;
  /** Where inputs that were lost are kept. */
  readonly kept: string;
  say(line: string): void;
}
