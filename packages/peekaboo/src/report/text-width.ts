/** Widths of DejaVu Sans, the widest of the usual sans-serif fonts, as multiples of the font's size. */
function widthOf(character: string): number {
  if (/[ .,:;|'ijlI]/.test(character)) return 0.36;
  if (/[!()[\]frt/·-]/.test(character)) return 0.45;
  if (/[A-Z#&+<=>^w~×]/.test(character)) return /[MW]/.test(character) ? 1 : 0.84;
  return /[%@m…—]/.test(character) || character > "\u2e7f" ? 1.03 : 0.64;
}

/** The width in pixels that a text takes at most. */
export function textWidth(text: string, size: number, weight: "normal" | "bold" = "normal"): number {
  const widths = Array.from(text, widthOf);
  return widths.reduce((sum, width) => sum + width, 0) * size * (weight === "bold" ? 1.12 : 1);
}

/** The text, or as much of its beginning and end as fits `width` pixels. */
export function shortened(text: string, width: number, size: number, weight: "normal" | "bold" = "normal"): string {
  let characters = Array.from(text);
  let short = text;
  while (characters.length > 0 && textWidth(short, size, weight) > width) {
    const middle = Math.floor(characters.length / 3);
    characters = characters.toSpliced(middle, 1);
    short = `${characters.slice(0, middle).join("")}…${characters.slice(middle).join("")}`;
  }
  return short;
}
