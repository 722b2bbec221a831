/** A size in bytes for a person, in decimal units: `812 B`, `3.4 kB`, `44.7 MB`. */
export function formatBytes(bytes: number): string {
  const [value, unit] = scaled(bytes, ["B", "kB", "MB", "GB", "TB"]);
  return `${value} ${unit}`;
}

/** A time in seconds for a person: `350 ms`, `8.2 s`, `42 s`, `10m 38s`, `2h 14m`, `3d 04h`; `?` when it is not known. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return "?";
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${twoDigits(whole % 60)}s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)}h ${twoDigits(minutes % 60)}m`;
  const hours = Math.floor(minutes / 60);
  return `${Math.floor(hours / 24)}d ${twoDigits(hours % 24)}h`;
}

/** A count with its thousands set apart: `11,164,352`. Fractions are rounded away. */
export function formatCount(count: number): string {
  if (!Number.isFinite(count)) return "?";
  return String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** A count in at most four characters or so, for axes: `0`, `250`, `2.5k`, `70k`, `1M`. */
export function formatShortCount(count: number): string {
  const [value, unit] = scaled(count, ["", "k", "M", "G", "T"]);
  return `${value.replace(/\.0$/, "")}${unit}`;
}

/** A fraction in percent with three significant digits at most, without the sign: `100`, `31.6`, `5.0`, `0.52`, `<0.01`. */
export function formatPercent(fraction: number): string {
  const percent = fraction * 100;
  if (percent === 0 || percent >= 99.95) return percent.toFixed(0);
  if (percent < 0.005) return "<0.01";
  return percent.toFixed(percent < 0.995 ? 2 : 1);
}

/** Scales `value` to the unit, 1,000 apart, that leaves it below 1,000; one decimal below 100, except in the first unit. */
function scaled(value: number, units: readonly string[]): [value: string, unit: string] {
  let unit = 0;
  let rest = value;
  while (unit < units.length - 1 && Number(rest.toFixed(rest < 99.95 ? 1 : 0)) >= 1000) {
    rest /= 1000;
    unit++;
  }
  return [unit === 0 || rest >= 99.95 ? rest.toFixed(0) : rest.toFixed(1), units[unit] ?? ""];
}

function twoDigits(value: number): string {
  return String(value).padStart(2, "0");
}
