/** Things that start and stop. */

export interface Service {
  /** Resolves when the service works; rejects, with everything released, when it cannot. */
  start(signal?: AbortSignal): Promise<void>;
  /** Releases everything; idempotent; never rejects for a service that never started. */
  stop(): Promise<void>;
}

/** Starts services in order and stops them in reverse; a failed start stops what had started. */
export class ServiceGroup implements Service {
  readonly #services: readonly Service[];
  #started: Service[] = [];

  constructor(services: readonly Service[]) {
    this.#services = services;
  }

  async start(signal?: AbortSignal): Promise<void> {
    try {
      for (const service of this.#services) {
        signal?.throwIfAborted();
        await service.start(signal);
        this.#started.push(service);
      }
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    const started = this.#started;
    this.#started = [];
    const failures: unknown[] = [];
    for (const service of started.reverse()) {
      try {
        await service.stop();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
