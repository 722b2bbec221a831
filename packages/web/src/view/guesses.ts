import type { Guess } from "@peekaboo/runtime";
import { el } from "./dom.js";
import { percent, share } from "./format.js";

/** Shows the likeliest classes as bars, the true one marked; none as long as there is no image. */
export function showGuesses(list: HTMLOListElement, best: readonly Guess[], truth: number | null): void {
  const rows = best.map(({ label, index, probability }) => {
    const bar = el("span", { class: "fill" });
    bar.style.width = share(probability);
    const right = index === truth;
    return el(
      "li",
      right ? { class: "right" } : {},
      el("span", { class: "label" }, label, ...(right ? [el("span", { class: "tick" }, " ✓ true class")] : [])),
      el("span", { class: "track", "aria-hidden": "true" }, bar),
      el("data", { class: "value", value: probability }, percent(probability)),
    );
  });
  const none = el("li", { class: "note" }, "Nothing yet: give it an image.");
  list.replaceChildren(...(rows.length === 0 ? [none] : rows));
}
