import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { FINDINGS_PAGE, findingsPage } from './reference.ts';

describe('docs/pci/findings.md', () => {
  it('is current', async () => {
    expect(await readFile(FINDINGS_PAGE, 'utf8'), 'run `make generate`').to.equal(findingsPage());
  });
});
