import { Counter, Gauge, type Registry } from 'prom-client';
import type { CircuitState } from '../../participants/circuit.ts';
import type { ParticipantRegistry } from '../../participants/registry.ts';

const STATES: readonly CircuitState[] = ['Closed', 'HalfOpen', 'Open'];

/** What is measured of participants, besides how long their answers take. */
export interface ParticipantMetrics {
  readonly openings: Counter<'namespace' | 'participant'>;
}

/** Registers the metrics of participants; circuits are read at each scrape, as this process has them. */
export function participantMetrics(
  registry: Registry,
  circuits: () => ReturnType<ParticipantRegistry['circuits']>,
): ParticipantMetrics {
  const registers = [registry];
  new Gauge({
    name: 'mercato_participant_circuit_state',
    help: "1 for the state that a participant's circuit has in this process, 0 for the others.",
    labelNames: ['namespace', 'participant', 'state'],
    registers,
    collect() {
      this.reset();
      for (const { namespace, name, circuit } of circuits()) {
        for (const state of STATES) this.set({ namespace, participant: name, state }, circuit.state === state ? 1 : 0);
      }
    },
  });
  return {
    openings: new Counter({
      name: 'mercato_participant_circuit_openings_total',
      help: 'How often a circuit opened, again after a probe that failed included.',
      labelNames: ['namespace', 'participant'],
      registers,
    }),
  };
}
