/** How a 4-dimensional tensor lies in memory: [N, C, H, W] row-major, as its source, or with channels innermost. */
export type MemoryFormat = "contiguous" | "preserve" | "channelsLast";
