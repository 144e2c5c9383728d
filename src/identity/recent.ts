/** Maps that keep what was used last. */

/** Puts an entry behind all others; beyond `most` the first one goes. */
export function moveToEnd<Value>(
  map: Map<string, Value>,
  key: string,
  value: Value,
  most: number,
): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= most) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}
