/** An event of a machine as its driver is given it: the driver adds the time. */
export type Untimed<Event> = Event extends unknown ? Omit<Event, 'now'> : never;
