/** Okabe and Ito's palette, which colour-blind readers can tell apart, and greys. */
export const COLOURS = {
  background: "#ffffff",
  text: "#1a1a1a",
  muted: "#5f6368",
  frame: "#c4c7cc",
  faint: "#e8eaed",
  track: "#f3f4f6",
  training: "#0072b2",
  test: "#d55e00",
  flips: "#008a65",
  kept: "#56b4e9",
  warning: "#c43b00",
};

/** The same palette for lines that are compared, in the order in which they are given out. */
export const SERIES = ["#0072b2", "#d55e00", "#008a65", "#cc79a7", "#56b4e9", "#d99a00", "#7a5195", "#7f7f7f"] as const;
