/** A vitest reporter that ends the output with `N passed, N failed`, alone on the last line; N counts tests. */
// biome-ignore lint/style/noDefaultExport: vitest takes a reporter's default export
export default class ClosingLine {
  /** A run that never comes to its end has failed. */
  #line = "0 passed, 1 failed";

  onInit() {
    process.on("exit", () => console.log(this.#line));
  }

  /** Counts as failed, beside tests: a file that failed outside them, and an error that no test caught. */
  onTestRunEnd(files, unhandledErrors, reason) {
    const count = (file, state) => [...file.children.allTests(state)].length;
    const sum = (counts) => counts.reduce((total, value) => total + value, 0);
    const failures = files.map((file) => count(file, "failed") || Number(file.state() === "failed"));
    const failed = sum(failures) + unhandledErrors.length;
    this.#line = `${sum(files.map((file) => count(file, "passed")))} passed, ${failed || Number(reason !== "passed")} failed`;
  }
}
