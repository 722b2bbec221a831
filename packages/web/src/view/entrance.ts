import { byId } from "./dom.js";

type Expected = "network" | "image" | "either";

/** Hands on every file that is chosen, dropped or pasted. */
export function takeFiles(take: (file: File, expected: Expected) => void): void {
  chosen("own-network", (file) => take(file, "network"));
  chosen("own-image", (file) => take(file, "image"));
  document.addEventListener("paste", ({ clipboardData }) => {
    const [file] = clipboardData?.files ?? [];
    if (file !== undefined) take(file, "either");
  });
  const veil = byId("drop", HTMLDivElement);
  document.addEventListener("dragover", (event) => {
    // Without this the browser would leave the page for the file.
    event.preventDefault();
    veil.hidden = event.dataTransfer?.types.includes("Files") !== true;
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) veil.hidden = true;
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    veil.hidden = true;
    const [file] = event.dataTransfer?.files ?? [];
    if (file !== undefined) take(file, "either");
  });
}

function chosen(id: string, take: (file: File) => void): void {
  const input = byId(id, HTMLInputElement);
  input.addEventListener("change", () => {
    const [file] = input.files ?? [];
    // The same file may be chosen again.
    if (file !== undefined) take(file);
    input.value = "";
  });
}
