import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { crc32 } from 'node:zlib';
import { expect } from 'chai';
import { BuildError } from './go.ts';
import { install } from './install.ts';

/** A zip archive of one file, stored: what a Go module proxy serves as a module's source. */
function zip(path: string, content: string): Buffer {
  const name = Buffer.from(path);
  const body = Buffer.from(content);
  const common = Buffer.alloc(26);
  common.writeUInt16LE(20, 0);
  common.writeUInt32LE(crc32(body), 10);
  common.writeUInt32LE(body.length, 14);
  common.writeUInt32LE(body.length, 18);
  common.writeUInt16LE(name.length, 22);
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, name, body]);
  const entry = Buffer.concat([Buffer.from('PK\x01\x02\x14\x00'), common, Buffer.alloc(14), name]);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06');
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(entry.length, 12);
  end.writeUInt32LE(local.length, 16);
  return Buffer.concat([local, entry, end]);
}

if (spawnSync('go', ['version']).status === 0) {
  describe('installing a published Go program', function () {
    this.timeout(120_000);
    let root: string;
    let folder: string;

    beforeEach(() => {
      root = mkdtempSync(join(tmpdir(), 'install-'));
      folder = join(root, 'tool');
      mkdirSync(folder);
    });

    afterEach(() => {
      spawnSync('chmod', ['-R', 'u+w', root]);
      rmSync(root, { recursive: true });
    });

    /** A module proxy on the disk, which Go asks in place of the network. */
    const publish = (source: string) => {
      const proxy = join(root, 'proxy', 'example.com', 'hello', '@v');
      mkdirSync(proxy, { recursive: true });
      writeFileSync(join(proxy, 'list'), 'v1.2.3\n');
      writeFileSync(join(proxy, 'v1.2.3.info'), JSON.stringify({ Version: 'v1.2.3' }));
      writeFileSync(join(proxy, 'v1.2.3.mod'), 'module example.com/hello\n\ngo 1.21\n');
      writeFileSync(join(proxy, 'v1.2.3.zip'), zip('example.com/hello@v1.2.3/main.go', source));
      const modules = {
        GOPROXY: pathToFileURL(join(root, 'proxy')).href,
        GOSUMDB: 'off',
        GOMODCACHE: join(root, 'mod'),
      };
      return { ...process.env, ...modules };
    };
    const target = { package: 'example.com/hello', version: 'v1.2.3', linkerFlags: '-X main.version=v1.2.3' };

    it('leaves a program with the linker flags in it, and nothing unfinished', async () => {
      const env = publish('package main\n\nvar version = "unset"\n\nfunc main() { print(version) }\n');
      await install('hello', target, folder, env);
      expect(spawnSync(join(folder, 'hello'), { encoding: 'utf8' }).stderr).to.equal('v1.2.3');
      expect(readdirSync(folder).sort()).to.deep.equal(['hello', 'logs']);
    });

    it('takes the release that is named even where a workspace names another', async () => {
      const env = publish('package main\n\nfunc main() { print("published") }\n');
      writeFileSync(join(root, 'go.work'), 'go 1.21\n\nuse ./hello\n');
      mkdirSync(join(root, 'hello'));
      writeFileSync(join(root, 'hello', 'go.mod'), 'module example.com/hello\n\ngo 1.21\n');
      writeFileSync(join(root, 'hello', 'main.go'), 'package main\n\nfunc main() { print("local") }\n');
      await install('hello', target, folder, env);
      expect(spawnSync(join(folder, 'hello'), { encoding: 'utf8' }).stderr).to.equal('published');
    });

    it('names the release that could not be had, and leaves no program', async () => {
      const env = publish('package main\n\nfunc main() {}\n');
      const error = await install('hello', { ...target, version: 'v9.9.9' }, folder, env).then(
        () => expect.fail('v9.9.9 is not published'),
        (reason: Error) => reason,
      );
      expect(error).to.be.instanceOf(BuildError);
      expect(error.message).to.include('go install of hello (example.com/hello@v9.9.9) failed');
      expect(existsSync(join(folder, 'hello'))).to.equal(false);
    });
  });
}
