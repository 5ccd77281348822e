import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type Layout, layoutOf } from './files.ts';
import { livingComponents, readState, type State, writeState } from './state.ts';

describe('the state of a folder', () => {
  let folder: string;
  let layout: Layout;
  const state: State = {
    ports: { apiServer: 1, etcd: 2 },
    pids: {},
    apiServerArgs: ['--v=1'],
    etcdUnsafeNoFsync: true,
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'state-'));
    layout = layoutOf(folder);
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  it('is read as it was written', async () => {
    expect(await readState(layout)).to.equal(undefined);
    await writeState(layout, state);
    expect(await readState(layout)).to.deep.equal(state);
  });

  for (const text of ['', '[]', 'null', '{}', '{"ports":{"apiServer":"1","etcd":2},"pids":{},"apiServerArgs":[]}']) {
    it(`that says ${JSON.stringify(text)} is an error that says what to remove`, async () => {
      writeFileSync(layout.state, text);
      const error = await readState(layout).catch((reason: Error) => reason);
      expect((error as Error).message)
        .to.include(layout.state)
        .and.include(`remove the folder ${folder}`);
    });
  }

  it('does not take another process with a noted pid for a component', () => {
    expect(livingComponents(layout, { ...state, pids: { etcd: process.pid } }).size).to.equal(0);
  });
});
