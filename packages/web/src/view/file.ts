import type { FileFacts, LayerFacts } from "../protocol.js";
import { byId, el } from "./dom.js";
import { bytes, percent, share, whole } from "./format.js";

/** A part of a file, and what it is for. */
const PARTS = [
  ["masks", "Mask", "which weights are kept"],
  ["signs", "Signs", "whether each kept weight is positive or negative"],
  ["numbers", "Other numbers", "scales and shifts, the output layer"],
  ["description", "Description", "the graph, the classes, the seed, how it was trained"],
  ["container", "Container", "sizes and checksums"],
] as const;

const text = byId("file-text", HTMLParagraphElement);
const scale = byId("scale", HTMLDivElement);
const parts = byId("parts", HTMLTableElement);
const layersBox = byId("layers-box", HTMLDetailsElement);
const layers = byId("layers", HTMLTableElement);

/** Tells a file's bytes by part, against float32, and what each layer keeps. */
export function showFile(facts: FileFacts): void {
  const pruned = facts.layers.filter(({ grown, kept, total }) => grown || kept < total);
  const kept = pruned.reduce((sum, layer) => sum + layer.kept, 0);
  const total = pruned.reduce((sum, layer) => sum + layer.total, 0);
  const keeps =
    total === 0 ? "" : ` It keeps ${whole(kept)} of its ${whole(total)} weights (${percent(kept / total)}).`;
  const times = facts.denseBytes / facts.bytes;
  text.textContent =
    `${bytes(facts.bytes)} hold all of ${facts.network}; as float32 its numbers would take ${bytes(facts.denseBytes)}, ` +
    `${times.toFixed(times < 10 ? 1 : 0)} times as much.${keeps}`;
  showScale(facts);
  showParts(facts);
  layersBox.hidden = facts.layers.length === 0;
  layers.replaceChildren(
    el("caption", { class: "unseen" }, "Weights kept in each layer"),
    el("thead", {}, heading(["Layer"], ["Shape", "number shape"], ["Kept", "number"], [""])),
    el("tbody", {}, ...facts.layers.map(layerRow)),
  );
}

function heading(...columns: readonly (readonly [name: string, kind?: string])[]): HTMLTableRowElement {
  const cells = columns.map(([name, kind = ""]) =>
    name === "" ? el("td") : el("th", { scope: "col", class: kind }, name),
  );
  return el("tr", {}, ...cells);
}

/** Both as bars of one scale. */
function showScale({ bytes: own, denseBytes }: FileFacts): void {
  const most = Math.max(own, denseBytes);
  const bars = [
    ["as float32", denseBytes, "dense"],
    ["this file", own, "own"],
  ] as const;
  const rows = bars.map(([label, size, kind]) => {
    const bar = el("span", { class: `bar ${kind}` });
    bar.style.width = `max(2px, ${share(size / most)})`;
    return el(
      "div",
      {},
      el("span", { class: "what" }, label),
      el("span", { class: "room" }, bar),
      el("span", {}, bytes(size)),
    );
  });
  scale.replaceChildren(...rows);
}

function showParts({ sizes, bytes: all }: FileFacts): void {
  const rows = PARTS.map(([part, name, meaning]) => {
    const bar = el("span", { class: `bar part-${part}`, "aria-hidden": "true" });
    bar.style.width = `max(2px, ${share(sizes[part] / all)})`;
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, name, el("span", { class: "meaning" }, meaning)),
      el("td", { class: "number" }, bytes(sizes[part])),
      el("td", { class: "bar-cell" }, bar),
    );
  });
  parts.replaceChildren(
    el("caption", { class: "unseen" }, "The file's bytes by part"),
    el("thead", {}, heading(["Part"], ["Bytes", "number"], [""])),
    el("tbody", {}, ...rows),
  );
}

function layerRow({ name, shape, kept, total }: LayerFacts): HTMLTableRowElement {
  const bar = el("span", { class: "bar own", "aria-hidden": "true" });
  bar.style.width = share(kept / total);
  return el(
    "tr",
    {},
    el("th", { scope: "row", class: "unbroken" }, name),
    el("td", { class: "number shape" }, shape.join("×")),
    el("td", { class: "number" }, percent(kept / total)),
    el("td", { class: "bar-cell" }, bar),
  );
}
