const CODES = { contiguous: 0, preserve: 1, channelsLast: 2 } as const;

/** How a 4-dimensional tensor lies in memory: [N, C, H, W] row-major, as its source, or with channels innermost. */
export type MemoryFormat = keyof typeof CODES;

/** c10's number of a memory format. */
export function memoryFormatCode(format: MemoryFormat | null | undefined): number | null | undefined {
  return format === undefined || format === null ? format : CODES[format];
}
