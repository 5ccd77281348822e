import { expect } from 'chai';
import { reference } from './reference.ts';
import { ackObjects, idle, richModel, specOf } from './testing.ts';

/** All that can be declared. */
const WITH_ALL = { commandQueues: true };

describe('the reference page of AWS', () => {
  const page = reference(richModel);
  const lines = page.split('\n');

  it('has a line for every resource', () => {
    // An alias stands in its key's line.
    const objects = ackObjects(richModel, 'production', WITH_ALL).filter(({ kind }) => kind !== 'Alias');
    for (const { kind, metadata } of objects)
      expect(
        lines.filter((line) => line.startsWith(`| ${kind} | \`${metadata.name}\` | \`${metadata.namespace}\` |`)),
        `${kind} ${metadata.name}`,
      ).to.have.length(1);
    const rows = lines.filter((line) => /^\| [A-Z]\w+ \| `/.test(line));
    expect(rows).to.have.length(objects.length);
  });

  it('has every action and every resource that a role allows, with its condition', () => {
    for (const role of ackObjects(richModel, 'production', WITH_ALL).filter(({ kind }) => kind === 'Role')) {
      const [, section = ''] = page.split(`\n## ${role.metadata.name}\n`);
      const lines = (section.split('\n## ')[0] ?? '').split('\n');
      const [text] = Object.values(specOf(role)['inlinePolicies'] as Record<string, string>);
      const generic = (text ?? '')
        .replaceAll('mercato-production', 'mercato-<environment>')
        .replaceAll('eu-west-1', '<region>')
        .replaceAll('000000000000', '<account>');
      for (const { Action, Resource, Condition } of JSON.parse(generic).Statement) {
        const only = Object.values(Condition?.['ForAllValues:StringEquals'] ?? {}).flat();
        const said = [...Action, ...Resource, ...only] as string[];
        const rows = lines.filter((line) => said.every((each) => line.includes(`\`${each}\``)));
        expect(rows, said.join()).to.have.length(1);
      }
    }
  });

  it('says who has nothing', () => {
    expect(page).to.match(new RegExp(`Services without a section have nothing in AWS.*: .*${idle.name}\\.`));
    expect(lines).not.to.include(`## ${idle.name}`);
    expect(lines).to.include('## vault');
  });
});
