import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ControlPlane } from '@mercato/controlplane';
import { sharedControlPlane } from '@mercato/controlplane/testing.ts';
import { grantEverywhere, installApi } from '@mercato/operator/api/testing.ts';
import { expect } from 'chai';
import { mercato } from '../model/mercato.ts';
import { runbookOf } from './alert.ts';
import { alertNames } from './rules.ts';

const RUNBOOKS = join(import.meta.dirname, '../../../docs/runbooks');
const files = readdirSync(RUNBOOKS).filter((file) => file.endsWith('.md'));
const read = (file: string): string => readFileSync(join(RUNBOOKS, file), 'utf8');

/** What the reader puts in. */
const SET: Readonly<Record<string, string>> = { NS: 'mercato-shop', SERVICE: 'inventory' };

/** The commands of a runbook that only look, and that need no object to be there. */
function lookUps(text: string): string[][] {
  return (
    [...text.matchAll(/^ {4,}kubectl (get|auth can-i) (.*)$/gm)]
      .map(([, verb, rest]) => `${verb} ${rest}`)
      // ACK's kinds are there only where AWS is.
      .filter((command) => !command.includes('services.k8s.aws'))
      .map((command) =>
        command
          .replace(/\$(\w+)/g, (_, name: string) => SET[name] ?? '')
          .replaceAll("'", '')
          .split(' '),
      )
      // Without its name, a list; a list is always there.
      .map((words) => (words[1]?.startsWith('lease') && words[0] === 'get' ? ['get', 'leases', '-A'] : words))
  );
}

describe('Runbooks', () => {
  it('are there for every alert, and for nothing else, and are in the index', () => {
    const names = alertNames(mercato);
    expect(files.filter((file) => file !== 'README.md').sort()).to.deep.equal(names.map(runbookOf).sort());
    const index = read('README.md');
    for (const name of names) {
      expect(index).to.include(`[${name}](${runbookOf(name)})`);
      expect(read(runbookOf(name)), name).to.match(new RegExp(`^# ${name}\n`));
    }
  });

  it('have their commands where a reader can copy them', () => {
    for (const file of files) expect(read(file), file).not.to.match(/^(kubectl|aws|curl) /m);
    expect(files.flatMap((file) => lookUps(read(file)))).to.have.length.above(60);
  });

  it('link only to pages that are there', () => {
    for (const file of files)
      for (const [, target] of read(file).matchAll(/\]\(([^)#]+)[^)]*\)/g))
        expect(() => readFileSync(join(RUNBOOKS, target as string)), `${file}: ${target}`).not.to.throw();
  });

  describe('have commands', () => {
    let plane: ControlPlane;

    before(async function () {
      this.timeout(120_000);
      plane = await sharedControlPlane();
      await installApi(plane);
    });

    for (const file of files)
      it(`that kubectl takes, in ${file}`, async function () {
        this.timeout(60_000);
        const commands = lookUps(read(file));
        for (const command of commands) {
          // `can-i` says no with a status of 1; what is asked is whether it understands the question.
          const asked =
            command[0] === 'auth'
              ? plane.kubectl(command).catch((error: unknown) => String(error))
              : plane.kubectl(command);
          expect(String(await asked), command.join(' ')).not.to.match(/error:|doesn't have a resource type/);
        }
      });

    it('that change orders and sagas as whoever is on call may, and not with the rights to look alone', async function () {
      this.timeout(180_000);
      const changes = new Set(
        files.flatMap((file) =>
          [...read(file).matchAll(/^ {4,}kubectl patch (ordersaga|osr) /gm)].map(([, kind]) => kind),
        ),
      );
      expect([...changes]).to.include('ordersaga');
      const index = read('README.md');
      const [onCall, onlooker] = ['runbooks-on-call', 'runbooks-onlooker'];
      for (const role of ['mercato-operate', 'mercato-edit']) {
        expect(index).to.include(role);
        await grantEverywhere(plane, onCall, role);
      }
      await grantEverywhere(plane, onlooker, 'mercato-view');
      const may = (user: string, kind: string): Promise<string> =>
        plane.kubectl(['auth', 'can-i', 'patch', kind, '-n', 'mercato-shop', '--as', user]).then(
          (answer) => answer.trim(),
          () => 'no',
        );
      for (const kind of changes) {
        expect(await may(onCall, kind as string), kind).to.equal('yes');
        expect(await may(onlooker, kind as string), kind).to.equal('no');
      }
    });

    it('and a wrong one would be noticed', async () => {
      const [wrong] = lookUps('    kubectl get osr -A --field-selector status.reason=Held\n');
      expect(wrong).to.deep.equal(['get', 'osr', '-A', '--field-selector', 'status.reason=Held']);
      const outcome = await plane.kubectl(wrong as string[]).then(
        () => 'taken',
        () => 'refused',
      );
      expect(outcome).to.equal('refused');
    });
  });
});
