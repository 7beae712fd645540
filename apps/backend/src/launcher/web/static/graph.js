/** Who needs whom, and in which lanes that is drawn: pure functions of the status document. */

/** Returns { needs, neededBy }, each from a name to a list of names; names that are not there are left out. */
export function graphOf(components, dependencies) {
  const names = new Set([...components, ...dependencies].map((item) => item.name));
  const needs = new Map([...names].map((name) => [name, []]));
  const neededBy = new Map([...names].map((name) => [name, []]));
  for (const component of components) {
    for (const needed of component.depends_on ?? []) {
      if (!names.has(needed)) continue;
      needs.get(component.name).push(needed);
      neededBy.get(needed).push(component.name);
    }
  }
  return { needs, neededBy };
}

/** Returns everybody who needs `name`, directly or through others, nearest first. */
export function dependentsOf(graph, name) {
  const found = new Set([name]);
  for (const each of found) for (const other of graph.neededBy.get(each) ?? []) found.add(other);
  found.delete(name);
  return [...found];
}

/** Returns for each name the length of the longest way down to something that needs nothing. */
export function depths(graph) {
  const depth = new Map();
  const place = (name) => {
    if (!depth.has(name)) {
      depth.set(name, 0); // a cycle cannot be declared, and would end here
      depth.set(name, Math.max(-1, ...graph.needs.get(name).map(place)) + 1);
    }
    return depth.get(name);
  };
  for (const name of graph.needs.keys()) place(name);
  return depth;
}

/**
 * Gives every trunk a lane, so that trunks in one lane do not touch. A trunk runs from what is needed along all who need it;
 * `rows` are names in order from top to bottom. Short ones come first and are innermost.
 */
export function lanes(graph, rows, most) {
  const place = new Map(rows.map((name, index) => [name, index]));
  const trunks = [];
  for (const name of rows) {
    const ends = graph.neededBy.get(name).filter((other) => place.has(other));
    if (ends.length === 0) continue;
    const places = [name, ...ends].map((each) => place.get(each));
    trunks.push({ name, ends, from: Math.min(...places), to: Math.max(...places), lane: 0 });
  }
  trunks.sort((one, other) => one.to - one.from - (other.to - other.from));
  const taken = [];
  for (const trunk of trunks) {
    const free = (spans) => spans.every(([from, to]) => to < trunk.from || trunk.to < from);
    let lane = taken.findIndex(free);
    if (lane < 0) lane = taken.push([]) - 1;
    taken[lane].push([trunk.from, trunk.to]);
    trunk.lane = lane;
  }
  return { trunks: trunks.filter((trunk) => trunk.lane < most), count: Math.min(most, taken.length) };
}
