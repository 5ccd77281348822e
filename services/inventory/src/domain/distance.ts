/** Degrees, north and east positive. */
export interface Coordinates {
  readonly lat: number;
  readonly lon: number;
}

/** Mean radius of the Earth in kilometres (IUGG, R1). */
const earthRadius = 6371.0088;

const radians = (degrees: number): number => (degrees * Math.PI) / 180;

/**
 * Great-circle distance in kilometres by the haversine formula (R. W. Sinnott, "Virtues of the Haversine", Sky and Telescope 68, 1984),
 * which stays exact for small distances. On a sphere: up to 0.5 % off the ellipsoid, far less than a country's centroid is off the customer.
 */
export function distanceKm(from: Coordinates, to: Coordinates): number {
  const sinLat = Math.sin(radians(to.lat - from.lat) / 2);
  const sinLon = Math.sin(radians(to.lon - from.lon) / 2);
  const h = sinLat ** 2 + Math.cos(radians(from.lat)) * Math.cos(radians(to.lat)) * sinLon ** 2;
  return 2 * earthRadius * Math.asin(Math.min(1, Math.sqrt(h)));
}
