/** Places where one person is reached, by the device that is reached there. */

/** Those of one device together, in the order they came; those that name none count as one device. */
export function byDevice<Place extends { readonly device?: string }>(
  places: readonly Place[],
): Place[][] {
  const devices = new Map<string | undefined, Place[]>();
  for (const place of places) {
    const same = devices.get(place.device);
    if (same) same.push(place);
    else devices.set(place.device, [place]);
  }
  return [...devices.values()];
}
