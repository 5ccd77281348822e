import type { Service } from '../model/types.ts';

/** Rates in PromQL, by namespace, over a window. */
export interface Indicator {
  /** Events a second that count against the objective. */
  bad(window: string): string;
  /** All events a second. */
  all(window: string): string;
  /** What goes wrong, as in: 2% of the ... */
  readonly says: string;
}

/** How a service's objective is measured, with metrics that its program exports. */
export interface Indicators {
  readonly availability: Indicator;
  /** Absent where events are too few for a rate to say anything; an alert of its own then watches each one. */
  readonly latency?: Indicator;
  /** Requests (for the operator: orders) a second. */
  throughput(window: string): string;
  /** The latency objective's histogram; the objective must be one of its bounds. */
  readonly histogram: string;
}

/** The label `job` of everything that is scraped from a service (its ServiceMonitor sets it). */
export const jobOf = ({ name, partOf = name }: Pick<Service, 'name' | 'partOf'>): string => `mercato/${partOf}`;

/** A metric of a service, with more matchers if given. */
export function of(service: Pick<Service, 'name'>, metric: string, matchers = ''): string {
  return `${metric}{job="${jobOf(service)}"${matchers && `,${matchers}`}}`;
}

/** Matches a histogram's bound however Prometheus writes it: 1 until version 2, 1.0 since version 3. */
export const bound = (seconds: number): string =>
  Number.isInteger(seconds) ? `le=~"${seconds}(\\\\.0)?"` : `le="${seconds}"`;

const sum = (selector: string, window: string): string => `sum by (namespace) (rate(${selector}[${window}]))`;

/**
 * The sum of two rates of which one may have no series yet: a counter's begin with the first event of their kind, and in PromQL what is added to
 * nothing is nothing. A fresh operator that holds every order must not look as if it had none.
 */
const plus = (one: string, other: string): string => `((${one} or 0 * ${other}) + (${other} or 0 * ${one}))`;

/** Slower than the bound: all without those that a bucket counts. */
function slower(service: Service, events: string, histogram: string, matchers = ''): Indicator {
  const { milliseconds } = service.objective.latency;
  const seconds = milliseconds / 1000;
  const comma = matchers && `,${matchers}`;
  const all = (window: string) => sum(of(service, `${histogram}_count`, matchers), window);
  return {
    all,
    bad: (window) => `(${all(window)} - ${sum(of(service, `${histogram}_bucket`, bound(seconds) + comma), window)})`,
    says: `${events} took longer than ${milliseconds} ms`,
  };
}

/**
 * A service with the participant contract: a fault is a 5xx or a request that was turned away (429). A business failure (422) is an answer; 4xx are
 * the caller's. What a company outside breaks counts: whoever calls cannot tell.
 */
function participant(service: Service): Indicators {
  const commands = (window: string) => sum(of(service, 'mercato_commands_total'), window);
  const turnedAway = (window: string) => sum(of(service, 'mercato_http_overloaded_total'), window);
  const failed = (window: string) => sum(of(service, 'mercato_commands_total', 'status=~"5.."'), window);
  const all = (window: string) => plus(commands(window), turnedAway(window));
  return {
    availability: {
      all,
      bad: (window) => plus(failed(window), turnedAway(window)),
      says: 'requests were answered with a fault (5xx) or turned away (429)',
    },
    latency: slower(service, 'commands', 'mercato_command_seconds'),
    throughput: all,
    histogram: 'mercato_command_seconds',
  };
}

/**
 * The operator: what counts is what became of orders. A declined card is a good end. Bad are runs that turned back because a participant did not
 * answer or the deadline passed, and runs that wait for a person.
 */
function operator(service: Service): Indicators {
  const finished = (window: string) => sum(of(service, 'mercato_saga_runs_finished_total'), window);
  const holds = (window: string) => sum(of(service, 'mercato_saga_holds_total'), window);
  const turned = (window: string) =>
    sum(of(service, 'mercato_saga_compensations_total', 'reason=~"StepFailed|DeadlineExceeded"'), window);
  const all = (window: string) => plus(finished(window), holds(window));
  return {
    availability: {
      all,
      bad: (window) => `(${plus(turned(window), holds(window))} or 0 * ${all(window)})`,
      says: 'orders were given up for technical reasons, or held',
    },
    latency: slower(service, 'orders that succeeded', 'mercato_saga_run_duration_seconds', 'outcome="Succeeded"'),
    throughput: (window) => sum(of(service, 'mercato_saga_runs_started_total', 'how="New"'), window),
    histogram: 'mercato_saga_run_duration_seconds',
  };
}

/** The boundary's controller: reconciles that failed. Drift is rare, so each that took too long is told (`BoundaryRevertSlow`). */
function boundary(service: Service): Indicators {
  const all = (window: string) => sum(of(service, 'controller_runtime_reconcile_total'), window);
  return {
    availability: {
      all,
      bad: (window) => sum(of(service, 'controller_runtime_reconcile_total', 'result="error"'), window),
      says: 'reconciles failed',
    },
    throughput: (window) => sum(of(service, 'mercato_boundary_reverts_total'), window),
    histogram: 'mercato_boundary_revert_seconds',
  };
}

/** A service with an API of its own: a fault is a 5xx or a request that was turned away (429); 4xx are the caller's. Streams last as long as they are wanted. */
function api(service: Service): Indicators {
  const matchers = 'route!~".*/events"';
  const answers = (window: string) => sum(of(service, 'mercato_http_requests_total', matchers), window);
  const turnedAway = (window: string) => sum(of(service, 'mercato_http_overloaded_total'), window);
  const failed = (window: string) =>
    sum(of(service, 'mercato_http_requests_total', `${matchers},status=~"5.."`), window);
  const all = (window: string) => plus(answers(window), turnedAway(window));
  return {
    availability: {
      all,
      bad: (window) => plus(failed(window), turnedAway(window)),
      says: 'requests were answered with a fault (5xx) or turned away (429)',
    },
    latency: slower(service, 'requests', 'mercato_http_request_seconds', matchers),
    throughput: all,
    histogram: 'mercato_http_request_seconds',
  };
}

/** How a service's objective is measured; nothing for simulators, which are there to fail. */
export function indicatorsOf(service: Service): Indicators | undefined {
  if (service.component === 'service') return service.api === true ? api(service) : participant(service);
  if (service.name === 'mercato-operator') return operator(service);
  if (service.name === 'mercato-boundary') return boundary(service);
  return undefined;
}
