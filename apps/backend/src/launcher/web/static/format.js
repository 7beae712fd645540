/** Values as people read them. */

/** Seconds as "4 s", "3 min 20 s", "2 h 5 min", "3 d 4 h". */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return pair(whole, 60, "min", 1, "s");
  if (whole < 86400) return pair(whole, 3600, "h", 60, "min");
  return pair(whole, 86400, "d", 3600, "h");
}

/** Seconds in one unit: "4 s", "3 min", "2 h", "3 d". */
export function brief(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [size, unit] = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].find(([each]) => whole >= each) ?? [1, "s"];
  return `${Math.floor(whole / size)} ${unit}`;
}

function pair(seconds, large, largeUnit, small, smallUnit) {
  const rest = Math.floor((seconds % large) / small);
  return `${Math.floor(seconds / large)} ${largeUnit}${rest ? ` ${rest} ${smallUnit}` : ""}`;
}

/** Bytes as MiB or GiB. */
export function bytes(count) {
  const mebi = count / 2 ** 20;
  return mebi < 1000 ? `${mebi < 10 ? mebi.toFixed(1) : Math.round(mebi)} MiB` : `${(mebi / 1024).toFixed(1)} GiB`;
}

/** A figure in words, or nothing where it is not known. */
export function known(value, written) {
  return value === null || value === undefined ? "" : written(value);
}

/** Percent of one core. */
export function percent(value) {
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} %`;
}

/** Seconds as milliseconds. */
export function milliseconds(seconds) {
  const value = seconds * 1000;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** Time of day of an instant: seconds since the epoch, or a text as of ISO 8601. */
export function clock(instant) {
  return CLOCK.format(moment(instant));
}

/** The same in full, for titles. */
export function fullTime(instant) {
  return moment(instant).toLocaleString();
}

function moment(instant) {
  return new Date(typeof instant === "number" ? instant * 1000 : instant);
}

/** "1 component", "3 components". */
export function counted(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
