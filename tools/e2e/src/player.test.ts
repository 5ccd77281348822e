import { spawn } from 'node:child_process';
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@mercato/controlplane/ports.ts';
import { OBSERVER_ACCOUNT, ORDER_ACCOUNT, SYSTEM_NAMESPACE } from '@mercato/demo/local/install.ts';
import { Phases } from '@mercato/demo/local/phases.ts';
import { NAMESPACE, urlOf } from '@mercato/demo/local/programs.ts';
import { localReach } from '@mercato/demo/local/reach.ts';
import { startTemporaryShop, type TemporaryShop } from '@mercato/demo/local/shop.ts';
import { atAddresses, readExamples } from '@mercato/demo/play/examples.ts';
import { expect } from 'chai';
import { ROOT } from './cluster.ts';
import { type Manifest, Objects } from './objects.ts';
import {
  PLAYER_ACCOUNT,
  PLAYER_NAMESPACE,
  PLAYER_SUBJECT,
  playerJob,
  playerRights,
  playerValues,
  resultIn,
} from './player.ts';

const ASKED = ['inventory', 'payment', 'shipping', 'order', 'acquirer', 'carrier'] as const;

/** How a player's process ended. */
interface Ended {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

describe('the player inside a cluster', () => {
  describe('as the very account that its Job has, and no more rights', function () {
    // Two plays, which a quiet machine needs twenty seconds for.
    this.timeout(600_000);
    let folder: string;
    let shop: TemporaryShop;
    let objects: Objects;
    let listens: string;

    before(async () => {
      folder = await realpath(await mkdtemp(join(tmpdir(), 'mercato-player-')));
      listens = `127.0.0.1:${await freePort()}`;
      const phases = new Phases(() => {});
      const announceTo = `http://${listens}/events`;
      shop = await startTemporaryShop(
        join(folder, 'shop'),
        phases,
        { etcdUnsafeNoFsync: true },
        // Nobody starts it again should it be too busy to renew its lease.
        { 'lease-duration': '2m' },
        'kubernetes',
        announceTo,
      );
      objects = new Objects(shop.client);
      await objects.applyAll([...playerRights(NAMESPACE, SYSTEM_NAMESPACE), ...tokensOfObserver()]);
      const identity = {
        user: PLAYER_SUBJECT,
        groups: ['system:serviceaccounts', `system:serviceaccounts:${PLAYER_NAMESPACE}`],
      };
      await writeFile(join(folder, 'kubeconfig'), await shop.plane.kubeconfigYaml(identity), { mode: 0o600 });
      const { manifests } = atAddresses(await readExamples(), localReach(shop.site, shop.client));
      const participants = manifests.filter(({ kind }) => kind === 'Participant');
      await writeFile(
        join(folder, 'participants.yaml'),
        participants.map((each) => JSON.stringify(each)).join('\n---\n'),
      );
    });
    after(async () => {
      await shop?.client.transport.close();
      await shop?.stop();
      await rm(folder, { recursive: true, force: true });
    });

    /** Runs the player; `onLine` hears what it writes. */
    const play = (
      mark: string,
      more: Readonly<Record<string, string>> = {},
      onText: (text: string) => void = () => {},
    ) => {
      const flags = {
        mark,
        namespace: NAMESPACE,
        seed: 'b',
        orders: '60',
        seconds: '3',
        patience: '60',
        participants: join(folder, 'participants.yaml'),
        'token-account': `${SYSTEM_NAMESPACE}/${OBSERVER_ACCOUNT}`,
        listen: listens,
        announcer: `system:serviceaccount:${SYSTEM_NAMESPACE}:${ORDER_ACCOUNT}`,
        ...more,
      };
      const env = Object.fromEntries(ASKED.map((name) => [`${name.toUpperCase()}_URL`, urlOf(shop.site, name)]));
      const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]);
      const child = spawn(process.execPath, [join(ROOT, 'tools/demo/src/incluster.ts'), ...args], {
        env: { ...process.env, ...env, KUBECONFIG: join(folder, 'kubeconfig') },
        stdio: ['ignore', 'pipe', 'pipe'],
        timeout: 280_000,
      });
      let [out, err] = ['', ''];
      child.stdout.on('data', (chunk: Buffer) => {
        out += chunk;
        onText(out);
      });
      child.stderr.on('data', (chunk: Buffer) => {
        err += chunk;
      });
      return new Promise<Ended>((resolve, reject) => {
        child.once('error', reject).once('close', (status) => resolve({ status, out, err }));
      });
    };

    it('plays a day, and a second one on the same stores, each conserved by itself', async () => {
      for (const mark of ['one', 'two']) {
        const { status, out, err } = await play(mark);
        expect(status, `${out}${err}`).to.equal(0);
        const { accepted, placed, settled, violations, phases } = resultIn(out);
        expect({ accepted, settled, violations }).to.deep.equal({ accepted: 60, settled: 60, violations: [] });
        expect(phases.Succeeded).to.be.at.least(40);
        expect(placed, 'about half of them').to.be.within(15, 45);
        expect(out).to.include('conservation: nothing was lost');
      }
    });

    it('hears, as a subscriber too, that an order is held whose goods are gone and whose money is not there, and that one is cancelled', async () => {
      const more = { orders: '4', placed: '100', held: '1', cancelled: '1', seconds: '1' };
      const { status, out, err } = await play('held', more);
      expect(status, `${out}${err}`).to.equal(0);
      const { accepted, placed, told, announced, phases } = resultIn(out);
      expect({ accepted, placed }).to.deep.equal({ accepted: 6, placed: 6 });
      expect({ told: told['Held'], held: phases.Held }).to.deep.equal({ told: 1, held: 1 });
      expect(announced).to.include({ held: 1, cancelled: 1 });
    });

    it('finds what subscribers are not told', async () => {
      // Its own tokens are others' than those that the order service shows: it takes nothing.
      const strangers = { announcer: 'system:serviceaccount:default:nobody', patience: '1' };
      const { status, out } = await play('deaf', { orders: '2', placed: '100', seconds: '1', ...strangers });
      expect(status, out).to.equal(1);
      const { violations, announced } = resultIn(out);
      expect(new Set(violations.map(({ rule }) => rule))).to.deep.equal(new Set(['announced-as-it-is']));
      expect(announced).to.deep.equal({});
      expect(out).to.include(`${ORDER_ACCOUNT} may not send events`);
    });

    it('goes on while what it asks is killed and comes back', async () => {
      let killing: Promise<void> | undefined;
      const killAll = async () => {
        for (const name of ['inventory', 'acquirer', 'order', 'payment'] as const) {
          await shop.kill(name);
          await shop.relaunch(name);
        }
      };
      const { status, out, err } = await play('three', { seconds: '6' }, (text) => {
        if (killing === undefined && /[1-9]\d*\/60 settled/.test(text)) killing = killAll();
      });
      await killing;
      expect(killing, 'nothing was killed').to.not.equal(undefined);
      expect(status, `${out}${err}`).to.equal(0);
      expect(resultIn(out).violations).to.deep.equal([]);
    });

    it('says what it was not let do, instead of waiting for it', async () => {
      const { status, err } = await play('four', { 'token-account': `${SYSTEM_NAMESPACE}/mercato-caller` });
      expect(status).to.equal(1);
      expect(err).to.match(/serviceaccounts\/mercato-caller\/token: 403 Forbidden/);
    });

    it('ends with status 2 and its usage for what it cannot read', async () => {
      const { status, err } = await play('Mark-Five');
      expect(status).to.equal(2);
      expect(err).to.include('--mark Mark-Five: up to 8 lower-case letters and digits');
    });

    /** Services on this machine believe the demo's account; in a cluster they believe the player's own (`playerValues`). */
    const tokensOfObserver = (): Manifest[] => {
      const metadata = { name: 'player-tokens', namespace: SYSTEM_NAMESPACE };
      const group = 'rbac.authorization.k8s.io';
      const rule = {
        apiGroups: [''],
        resources: ['serviceaccounts/token'],
        verbs: ['create'],
        resourceNames: [OBSERVER_ACCOUNT],
      };
      return [
        { apiVersion: `${group}/v1`, kind: 'Role', metadata, rules: [rule] },
        {
          apiVersion: `${group}/v1`,
          kind: 'RoleBinding',
          metadata,
          roleRef: { apiGroup: group, kind: 'Role', name: metadata.name },
          subjects: [{ kind: 'ServiceAccount', name: PLAYER_ACCOUNT, namespace: PLAYER_NAMESPACE }],
        },
      ];
    };
  });

  it('has a Job that is not tried again, under Pod Security "restricted"', () => {
    const job = playerJob({ image: 'tools:1', orders: 5, seconds: 2, seed: 's', mark: 'm1' });
    const { backoffLimit, template } = job['spec'] as {
      backoffLimit: number;
      template: { spec: Record<string, unknown> };
    };
    expect(backoffLimit).to.equal(0);
    const [container] = template.spec['containers'] as [{ args: string[]; securityContext: unknown }];
    expect(container.args.join(' ')).to.equal(
      [
        'tools/demo/src/incluster.ts --orders 5 --placed 50 --held 0 --cancelled 0 --seconds 2 --seed s --mark m1',
        '--namespace mercato-shop --journal kubernetes --listen 0.0.0.0:8080 --announcer system:serviceaccount:mercato-shop:order',
      ].join(' '),
    );
    expect(container.securityContext).to.include({ readOnlyRootFilesystem: true, allowPrivilegeEscalation: false });
    expect(template.spec['securityContext']).to.include({ runAsNonRoot: true });
  });

  it('is let in by namespace and pod at once, where its own values say so', () => {
    const { inventory, order, acquirer, carrier } = playerValues() as Record<
      string,
      { callers: unknown[]; allowedSubjects?: string[] }
    >;
    for (const { callers } of [inventory!, order!, acquirer!, carrier!]) {
      expect(callers).to.have.length(1);
      expect(callers[0]).to.have.keys('namespaceSelector', 'podSelector');
    }
    for (const service of [inventory, order])
      expect(service?.allowedSubjects).to.deep.equal(['system:serviceaccount:mercato-e2e:mercato-player']);
  });

  it('without a result is an error with what it wrote last', () => {
    expect(() => resultIn('one\ntwo\n')).to.throw(/without a result.*\none\ntwo/s);
    expect(resultIn('text\n{"accepted":3}\n')).to.deep.equal({ accepted: 3 });
  });
});
