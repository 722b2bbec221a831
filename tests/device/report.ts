/** What a part found, a line each as it is found. */
export class Report {
  readonly device: string;
  readonly #part: string;
  failed = 0;

  constructor(part: string, device: string) {
    this.#part = part;
    this.device = device;
  }

  /** Where arithmetic is the CPU's own: on it, and on its stand-in, whose operators run there. */
  get sameArithmetic(): boolean {
    return this.device === "cpu" || process.env.PEEKABOO_STAND_IN !== undefined;
  }

  /** A figure that may be at most `limit`. */
  atMost(what: string, figure: number, limit: number, of = "largest difference"): void {
    const ok = figure <= limit;
    this.#line(ok, what, `${of} ${figure === 0 ? "0" : Number(figure.toPrecision(3))}, at most ${limit}`);
  }

  /** Something that must be so; `seen` says what was seen. */
  must(what: string, ok: boolean, seen: string): void {
    this.#line(ok, what, seen);
  }

  skip(what: string, reason: string): void {
    process.stdout.write(`skip  ${this.#part}: ${what}: ${reason}\n`);
  }

  #line(ok: boolean, what: string, seen: string): void {
    if (!ok) this.failed++;
    process.stdout.write(`${ok ? "ok   " : "FAIL "} ${this.#part}: ${what}: ${seen}\n`);
  }
}
