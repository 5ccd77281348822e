import type { Announcer } from '../announce/announcer.ts';
import { Callers } from '../intake/callers.ts';
import type { EventName } from '../intake/events.ts';
import { HttpIntake } from '../intake/http.ts';
import type { Intake, IntakeRefused } from '../intake/intake.ts';
import { type IntakeMetrics, intakeMetrics } from '../intake/metrics.ts';
import { Receiver } from '../intake/receive.ts';
import { IntakeRefusals } from '../intake/refusals.ts';
import { refusedAnnouncement, type TellRefused } from '../intake/refused.ts';
import { sqsIntakeMetrics } from '../intake/sqs-metrics.ts';
import { clusterKeys, TokenVerifier } from '../intake/tokens.ts';
import { tracedIntake } from '../intake/traced.ts';
import type { Address } from '../options.ts';
import type { Runnable } from '../runtime/manager.ts';
import type { Foundation } from './foundation.ts';

/** What tokens of who sends events here are made for. */
export const INTAKE_AUDIENCE = 'mercato-operator';

/**
 * Adds the fronts that orders come in by, as far as they were asked for.
 * @param announcer tells of orders that are refused. @default nobody is told
 */
export function addIntake(foundation: Foundation, untraced: Intake, announcer?: Pick<Announcer, 'tell'>): void {
  const { intakeAddress, intakeQueue } = foundation.options;
  if (intakeAddress === undefined && intakeQueue === undefined) return;
  const intake = tracedIntake(untraced, foundation.tracing);
  const measured = intakeMetrics(foundation.metrics.registry);
  const tell: TellRefused = async (event, why) => {
    const announcement = refusedAnnouncement(event, why, foundation.clock.wall());
    if (announcement !== undefined) await announcer?.tell(announcement);
  };
  if (intakeAddress !== undefined) addHttpIntake(foundation, intake, intakeAddress, measured, tell);
  if (intakeQueue !== undefined) foundation.manager.add(queueIntake(foundation, intake, intakeQueue, measured, tell));
}

function addHttpIntake(
  { options, manager, client, clock, logger }: Foundation,
  intake: Intake,
  address: Address,
  metrics: IntakeMetrics,
  tellRefused: TellRefused,
): void {
  const { intakeSubjects, namespace } = options;
  const callers = new Callers(intakeSubjects);
  const refusals = new IntakeRefusals({ client, namespace, clock, logger, metrics });
  const refuse = (event: EventName, why: IntakeRefused) => refusals.record(event, why);
  manager.add(
    new HttpIntake({
      ...address,
      receiver: new Receiver({ intake, refuse, tellRefused, remembered: options.rememberOrdersMs, metrics, clock }),
      callers,
      tokens: new TokenVerifier({
        audience: INTAKE_AUDIENCE,
        subjects: callers.subjects,
        source: clusterKeys(client.transport),
        clock,
        onError: (error) => logger.warn("the cluster's token keys cannot be read", { error }),
      }),
      metrics,
      logger,
    }),
  );
}

/** The AWS SDK is loaded only by who has a queue: it takes 27 MB. */
function queueIntake(
  { options, metrics, clock, logger }: Foundation,
  intake: Intake,
  url: string,
  measured: IntakeMetrics,
  tellRefused: TellRefused,
): Runnable {
  return {
    name: 'sqs-intake',
    needsLeaderElection: false,
    async start(signal) {
      const [{ sqsClient }, { SqsIntake }] = await Promise.all([
        import('../aws/sqs.ts'),
        import('../intake/sqs-intake.ts'),
      ]);
      const client = sqsClient();
      const front: { inHand: number; start(signal: AbortSignal): Promise<void> } = new SqsIntake({
        client,
        queueUrl: url,
        intake,
        tellRefused,
        remembered: options.rememberOrdersMs,
        metrics: measured,
        queueMetrics: sqsIntakeMetrics(metrics.registry, () => front.inHand),
        clock,
        logger,
      });
      try {
        await front.start(signal);
      } finally {
        client.destroy();
      }
    },
  };
}
