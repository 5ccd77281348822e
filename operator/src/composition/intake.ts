import { HttpIntake } from '../intake/http.ts';
import type { Intake } from '../intake/intake.ts';
import { intakeMetrics } from '../intake/metrics.ts';
import { Receiver } from '../intake/receive.ts';
import { IntakeRefusals } from '../intake/refusals.ts';
import { clusterKeys, TokenVerifier } from '../intake/tokens.ts';
import type { Foundation } from './foundation.ts';

/** What tokens of who sends events here are made for. */
export const INTAKE_AUDIENCE = 'mercato-operator';

/** Adds the fronts that orders come in by, as far as they were asked for. */
export function addIntake({ options, manager, client, metrics, clock, logger }: Foundation, intake: Intake): void {
  const { intakeAddress, intakeSubjects, namespace } = options;
  if (intakeAddress === undefined) return;
  const measured = intakeMetrics(metrics.registry);
  const refusals = new IntakeRefusals({ client, namespace, clock, logger, metrics: measured });
  manager.add(
    new HttpIntake({
      ...intakeAddress,
      receiver: new Receiver({
        intake,
        refuse: (event, why) => refusals.record(event, why),
        metrics: measured,
        clock,
      }),
      tokens: new TokenVerifier({
        audience: INTAKE_AUDIENCE,
        subjects: intakeSubjects,
        source: clusterKeys(client.transport),
        clock,
        onError: (error) => logger.warn("the cluster's token keys cannot be read", { error }),
      }),
      metrics: measured,
      logger,
    }),
  );
}
